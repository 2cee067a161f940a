import { begun, sessionId } from './examples.ts'
import { Page } from './page.ts'
import { Timestamp } from './text.ts'
import { OrNull, Type, type Static } from './type.ts'

const branchId = (description: string) => Type.String({ pattern: '^[0-9a-f]{24}$', description })

export const Branch = Type.Object({
  id: branchId('Names the branch; the first one has the id of the session.'),
  from: OrNull(branchId('The branch that it left. Null: it begins anew.')),
  parentId: OrNull(branchId('The last message that it shares with that branch. Null: it shares none.')),
  startSeq: Type.Integer({ minimum: 1, description: 'The `seq` of its first own message.' }),
  active: Type.Boolean({ description: 'Whether the session goes on with it.' }),
  createdAt: Timestamp
}, {
  $id: 'Branch',
  description: 'One line of a conversation that was continued in several ways.',
  examples: [{ id: sessionId, from: null, parentId: null, startSeq: 1, active: true, createdAt: begun }]
})
export type Branch = Static<typeof Branch>

export const BranchPage = Page('BranchPage', Branch)
