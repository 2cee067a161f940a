import { createHash } from 'node:crypto'
import { type Session as SessionView } from '../../schemas/session.ts'
import { type Principal } from '../auth/principal.ts'
import { asFirstOf, behind } from '../sessions/said-elsewhere.ts'
import { type Message } from '../store/message.ts'
import { type TransferRepository } from '../store/transfers.ts'
import { type Said } from './request.ts'

/** The same in each attempt of one request, which has one session, so that a later one completes what an earlier one has begun. */
const idOf = (sessionId: string, place: number) => createHash('sha256').update(`${sessionId} ${place}`).digest('hex').slice(0, 24)

/** What was said before a session was opened: the client brings it along. */
export class Earlier {
  readonly #transfers: TransferRepository

  constructor (transfers: TransferRepository) {
    this.#transfers = transfers
  }

  /** Puts messages into a session, unless a turn has begun in it. */
  async put ({ tenantId }: Principal, session: SessionView, said: readonly Said[]): Promise<void> {
    if (said.length === 0) return
    const timestamp = new Date()
    const messages = asFirstOf({ ...session, tenantId }, said.map(({ role, content }, place) => (
      { id: idOf(session.id, place), role: role === 'user' ? 'user' : 'bot', content, timestamp }
    )))
    // The numbers first: whatever happens then, no turn takes one that is borne by a message.
    if (await this.#transfers.advance(session.id, behind(messages)) || await this.#isUnfinished(session.id, messages)) {
      await this.#transfers.insertMessages(messages)
    }
  }

  /** Whether an earlier attempt has made room for these, and nothing was said behind them. */
  async #isUnfinished (sessionId: string, messages: readonly Message[]): Promise<boolean> {
    const places = await this.#transfers.places([sessionId])
    return places.get(sessionId)?.nextSeq === behind(messages).nextSeq
  }
}
