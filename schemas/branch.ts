import { Page } from './page.ts'
import { Timestamp } from './text.ts'
import { Type, type Static } from './type.ts'

const branchId = (description: string) => Type.String({ pattern: '^[0-9a-f]{24}$', description })
const orNull = (schema: ReturnType<typeof branchId>) => Type.Union([schema, Type.Null()])

export const Branch = Type.Object({
  id: branchId('Names the branch; the first one has the id of the session.'),
  from: orNull(branchId('The branch that it left. Null: it begins anew.')),
  parentId: orNull(branchId('The last message that it shares with that branch. Null: it shares none.')),
  startSeq: Type.Integer({ minimum: 1, description: 'The `seq` of its first own message.' }),
  active: Type.Boolean({ description: 'Whether the session goes on with it.' }),
  createdAt: Timestamp
}, { $id: 'Branch', description: 'One line of a conversation that was continued in several ways.' })
export type Branch = Static<typeof Branch>

export const BranchPage = Page('BranchPage', Branch)
