import { ApiError } from '../errors.ts'
import { type Line } from '../store/branches.ts'
import { type Session } from '../store/sessions.ts'
import { type Summary } from '../store/upkeep.ts'

/** Towards clients, the first line of a session bears the session's own id. */
export function branchName (sessionId: string, branchId: string | null): string {
  return branchId ?? sessionId
}

/** The line of a session that a client names. Throws `not_found`. */
export function lineOf (session: Session, name: string): Line {
  const branchId = name === session.id ? null : name
  if (branchId !== null && !session.branches.some(({ id }) => id === branchId)) {
    throw new ApiError('not_found', { detail: `There is no branch ${name} in this session.` })
  }
  return { ...session, branchId }
}

/** The summary of what was said on the line that is spoken on; undefined where it is one of another line. */
export function summaryOf ({ summary, branchId, branches }: Session): Summary | undefined {
  if (!summary) return undefined
  let line = branchId
  let lastSeq = Infinity
  while (line !== summary.branchId) {
    const branch = branches.find(({ id }) => id === line)
    if (!branch || branch.parentSeq === 0) return undefined
    line = branch.from
    lastSeq = branch.parentSeq
  }
  return summary.throughSeq <= lastSeq ? summary : undefined
}
