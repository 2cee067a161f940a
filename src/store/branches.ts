import { type Document, type ObjectId } from 'mongodb'
import { parseId } from './ids.ts'

/** A line of the conversation that left an earlier one. The first line of a session has no entry; its id is null. */
export interface Branch {
  readonly id: string
  /** The line that the message it hangs on belongs to. */
  readonly from: string | null
  /** The message it hangs on; null: it begins anew. */
  readonly parentId: string | null
  /** The `seq` of that message; 0 where there is none. */
  readonly parentSeq: number
  /** Of its first message. */
  readonly startSeq: number
  /** The line that was spoken on before; taken up again where the first message of this one is never written. */
  readonly left: string | null
  readonly createdAt: Date
}

/** What is known of a branch before its first message has a number. */
export type BranchStart = Pick<Branch, 'id' | 'from' | 'parentId' | 'parentSeq'>

/** A branch as it is stored. */
export interface BranchDocument extends Omit<Branch, 'id' | 'from' | 'parentId' | 'left'> {
  id: ObjectId
  from: ObjectId | null
  parentId: ObjectId | null
  left: ObjectId | null
}

const hex = (id: ObjectId | null) => id?.toHexString() ?? null

export function toBranch ({ id, from, parentId, left, ...rest }: BranchDocument): Branch {
  return { id: id.toHexString(), from: hex(from), parentId: hex(parentId), left: hex(left), ...rest }
}

const orNull = (id: string | null) => id === null ? null : parseId(id)!

export function toBranchDocument ({ id, from, parentId, left, ...rest }: Branch): BranchDocument {
  return { ...rest, id: parseId(id)!, from: orNull(from), parentId: orNull(parentId), left: orNull(left) }
}

/** One line of a session, to be read: `branchId` says which. */
export interface Line {
  readonly id: string
  readonly branchId: string | null
  readonly branches: readonly Branch[]
  /** Messages up to this `seq` are gone. */
  readonly clearedSeq: number
}

/** The messages of a line: its own, and those before it on the lines it left. `after` and `before` are exclusive. */
export function lineFilter (
  { id, branchId, branches, clearedSeq }: Line, { after = 0, before }: { after?: number, before?: number } = {}
): Document {
  const from = Math.max(after, clearedSeq)
  const seq = { ...(from > 0 && { $gt: from }), ...(before !== undefined && { $lt: before }) }
  const filter: Document = { sessionId: parseId(id)!, ...(Object.keys(seq).length > 0 && { seq }) }
  if (branches.length === 0) return filter
  const stretches: Document[] = []
  let current = branches.find((branch) => branch.id === branchId)
  stretches.push({ branchId: branchId === null ? null : parseId(branchId)! })
  while (current && current.parentSeq > 0) {
    const { from, parentSeq } = current
    stretches.push({ branchId: from === null ? null : parseId(from)!, seq: { $lte: parentSeq } })
    current = branches.find((branch) => branch.id === from)
  }
  return { ...filter, $or: stretches }
}
