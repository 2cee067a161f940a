import { ApiError } from '../errors.ts'
import { type SessionWatch } from '../sessions/session-watch.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Session, type SessionScope, type Turn } from '../store/sessions.ts'
import { type Restored, type TurnRepository, type TurnWish } from '../store/turns.ts'
import { type Endings } from './endings.ts'
import { type WaitingLine } from './waiting-line.ts'

/** What a crash left behind, told to whoever reads the message. */
export const interruption = {
  status: 'interrupted',
  error: { code: 'overloaded', detail: 'The turn was interrupted before the reply was complete; it can be sent again.' }
} as const

// Who follows a tenant is told what the store has dated a second ago. Messages that are written later would be missed.
const FRESH_MS = 500

/** `taken`: the turn is ours. `busy`: the session as it is, with those who come before us. */
export type TurnAttempt = { taken: Session } | { busy: Session }

/** Who answers in a session: one at a time, held by a lease that the store's clock judges. */
export class TurnTaking {
  readonly #turns: TurnRepository
  readonly #messages: MessageRepository
  readonly #endings: Endings
  readonly #line: WaitingLine
  readonly #watch: SessionWatch
  readonly #leaseMs: number

  constructor (turns: TurnRepository, messages: MessageRepository, endings: Endings, line: WaitingLine, watch: SessionWatch, leaseMs: number) {
    this.#turns = turns
    this.#messages = messages
    this.#endings = endings
    this.#line = line
    this.#watch = watch
    this.#leaseMs = leaseMs
  }

  /** One write, whether the session is free or not. Throws `not_found` where there is no such session in `scope`. */
  async take (scope: SessionScope, wish: TurnWish): Promise<TurnAttempt> {
    for (;;) {
      const asked = performance.now()
      const session = await this.#turns.take(scope, wish, this.#leaseMs)
      if (!session) throw new ApiError('not_found', { detail: `There is no session ${wish.sessionId}.` })
      const { turn } = session
      if (turn?.messageId === wish.messageId) {
        const isFresh = performance.now() - asked < FRESH_MS
        return { taken: isFresh ? session : await this.#refresh(wish) }
      }
      if (!turn?.lapsed) return { busy: session }
      await this.recover({ ...session, turn })
    }
  }

  /** Dates a turn anew, for a process that was held up. Throws `overloaded` where the turn is no longer ours. */
  async #refresh ({ sessionId, messageId }: TurnWish): Promise<Session> {
    const session = await this.#turns.refresh(sessionId, messageId, this.#leaseMs)
    if (!session) {
      throw new ApiError('overloaded', { detail: 'The turn was lost before it had begun.', headers: { 'retry-after': '1' } })
    }
    return session
  }

  /** Holds on to a turn. False: it is no longer ours. */
  async renew (sessionId: string, messageId: string): Promise<boolean> {
    return await this.#turns.renew(sessionId, messageId, this.#leaseMs)
  }

  /** Ends a turn; who is next is told. */
  async release (sessionId: string, messageId: string, restore?: Restored): Promise<void> {
    const next = await this.#turns.release(sessionId, messageId, restore)
    this.#watch.ring(sessionId)
    this.#call(next)
  }

  /** Ends a turn whose messages may be missing; numbers that no message bears are given back, and a line that none begins. */
  async giveBack ({ id, turn, branches, branchId, clearedSeq }: Session): Promise<void> {
    const last = await this.#messages.last(id)
    const lastSeq = Math.max(last?.seq ?? 0, clearedSeq)
    const dropped = branches.find(({ startSeq }) => startSeq > lastSeq)
    const line = dropped ? dropped.left : branchId
    const [tip] = await this.#messages.history({ id, branches, branchId: line, clearedSeq }, { limit: 1 })
    await this.release(id, turn!.messageId, {
      nextSeq: lastSeq + 1, tipId: tip?.id ?? null, branchId: line, ...(dropped && { dropped: dropped.id })
    })
  }

  /** Leaves the line without having had the turn. */
  async leave (sessionId: string, ticket: string): Promise<void> {
    this.#call(await this.#turns.leave(sessionId, ticket))
  }

  /** The turn of a session, if there is one, and whether it has lapsed. */
  async check (sessionId: string): Promise<Session & { turn: Turn } | undefined> {
    return await this.#turns.check(sessionId)
  }

  /** Cleans up after a holder whose lease has run out. */
  async recover (session: Session & { turn: Turn }): Promise<void> {
    // First the message: as long as the turn is not free, nothing that is said later can come before its end.
    await this.#endings.end(session.turn.messageId, interruption, session.status !== 'deleted')
    await this.giveBack(session)
  }

  #call (ticket: string | undefined): void {
    if (ticket !== undefined) this.#line.call(ticket)
  }
}
