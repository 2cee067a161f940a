import { type ChangeLog } from '../sessions/change-log.ts'
import { type Branch, toBranchDocument } from '../store/branches.ts'
import { parseId } from '../store/ids.ts'
import { type LegalHoldRepository } from '../store/legal-holds.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type OutdatedRepository } from '../store/outdated.ts'
import { type Session, type SessionRepository } from '../store/sessions.ts'
import { type RemovalGuard } from './removal-guard.ts'

interface Dependencies {
  readonly sessions: SessionRepository
  readonly messages: MessageRepository
  readonly outdated: OutdatedRepository
  readonly changes: ChangeLog
  readonly legalHolds: LegalHoldRepository
  readonly guard: RemovalGuard
}

/** The lines of a session without its beginning. */
interface Lines {
  readonly branches: readonly Branch[]
  readonly branchId: string | null
  /** The messages that begin them since, by `seq`. */
  readonly heads: readonly number[]
}

/** Takes the oldest messages out of sessions that go on: hides them, and leaves them to the purger. */
export class Ageing {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Removes the messages of a session from before some moment, and answers how many. Of one with a turn, or a hold, none. */
  async age (tenantId: string, sessionId: string, before: Date): Promise<number> {
    const { sessions, messages, outdated, changes, legalHolds, guard } = this.#deps
    const session = await sessions.find({ tenantId }, sessionId)
    // Of what is held, there may be more messages than are to be looked through each time.
    if (!session || session.turn || (await legalHolds.free(tenantId, [session])).length === 0) return 0
    const { clearedSeq, rev } = session
    const { throughSeq, head } = await outdated.ending(sessionId, clearedSeq, before)
    if (throughSeq <= clearedSeq) return 0
    const claim = await guard.claim(tenantId, [session])
    if (claim.ids.length === 0) return 0
    const { branches, branchId, heads } = head === undefined ? { branches: [], branchId: null, heads: undefined } : await this.#lines(session, throughSeq, head)
    const [tip] = await messages.history({ id: sessionId, branches, branchId, clearedSeq: throughSeq }, { limit: 1 })
    const changed = await changes.make({ tenantId }, sessionId, {
      type: 'session.cleared',
      data: { throughSeq, ...(heads && { heads }) },
      set: {
        clearedSeq: throughSeq,
        clearing: true,
        summary: null,
        leaving: null,
        branches: branches.map(toBranchDocument),
        branchId: branchId === null ? null : parseId(branchId)!,
        tipId: tip ? parseId(tip.id)! : null
      },
      guard: { leaving: claim.leaving, rev, turn: null }
    })
    // Else something has happened in it: the next run looks again.
    return changed ? throughSeq - clearedSeq : 0
  }

  /** A branch whose beginning goes begins with its first message that stays; one that has none goes. */
  async #lines ({ id, branches, branchId }: Session, throughSeq: number, head: number): Promise<Lines> {
    if (branches.length === 0) return { branches, branchId, heads: [head] }
    const { outdated } = this.#deps
    const first = await outdated.head(id, null, throughSeq)
    const heads = first === undefined ? [] : [first]
    const kept: Branch[] = []
    for (const branch of branches) {
      if (branch.parentSeq > throughSeq) {
        kept.push(branch)
        continue
      }
      const startSeq = await outdated.head(id, branch.id, throughSeq)
      if (startSeq === undefined) continue
      kept.push({ ...branch, from: null, parentId: null, parentSeq: 0, startSeq })
      heads.push(startSeq)
    }
    return { branches: kept, branchId: kept.some((branch) => branch.id === branchId) ? branchId : null, heads }
  }
}
