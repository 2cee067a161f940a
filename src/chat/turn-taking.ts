import { ApiError } from '../errors.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Session, type SessionRepository, type SessionScope, type Turn } from '../store/sessions.ts'

/** What a crash left behind, told to whoever reads the message. */
export const interruption = {
  status: 'interrupted',
  error: { code: 'overloaded', detail: 'The turn was interrupted before the reply was complete; it can be sent again.' }
} as const

export interface TurnWish {
  readonly sessionId: string
  /** The bot message that is to be written. */
  readonly messageId: string
  /** How many messages the turn adds: two, or one where the user message is there already. */
  readonly count: 1 | 2
  readonly idempotencyKey: string | null
}

/** `taken`: the turn is ours. Else the session has `ended`, or somebody else's turn is running. */
export type TurnAttempt = { taken: Session } | { ended: true } | { running: Turn }

/** Who answers in a session: one at a time, held by a lease that the store's clock judges. */
export class TurnTaking {
  readonly #sessions: SessionRepository
  readonly #messages: MessageRepository
  readonly #leaseMs: number

  constructor (sessions: SessionRepository, messages: MessageRepository, leaseMs: number) {
    this.#sessions = sessions
    this.#messages = messages
    this.#leaseMs = leaseMs
  }

  /** One write when the session is free. Throws `not_found` where there is no such session in `scope`. */
  async take (scope: SessionScope, { sessionId, messageId, count, idempotencyKey }: TurnWish): Promise<TurnAttempt> {
    for (;;) {
      const taken = await this.#sessions.takeTurn(scope, sessionId, messageId, count, this.#leaseMs, idempotencyKey)
      if (taken) return { taken }
      const session = await this.#sessions.find(scope, sessionId)
      if (!session) throw new ApiError('not_found', { detail: `There is no session ${sessionId}.` })
      const held = await this.#sessions.checkTurn(sessionId)
      if (held && !held.turn.lapsed) return { running: held.turn }
      if (held) await this.recover(held)
      else if (session.status === 'ended') return { ended: true }
    }
  }

  /** Cleans up after a holder whose lease has run out. */
  async recover ({ id, turn }: Session & { turn: Turn }): Promise<void> {
    await this.#messages.end(turn.messageId, interruption)
    await this.release(id, turn.messageId)
  }

  /** Ends a turn whose messages may be missing; numbers that no message bears are given back. */
  async release (sessionId: string, messageId: string): Promise<void> {
    const lastSeq = await this.#messages.lastSeq(sessionId)
    await this.#sessions.releaseTurn(sessionId, messageId, lastSeq + 1)
  }
}
