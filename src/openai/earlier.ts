import { type Session as SessionView } from '../../schemas/session.ts'
import { type Principal } from '../auth/principal.ts'
import { asFirstOf, behind } from '../sessions/said-elsewhere.ts'
import { newId } from '../store/ids.ts'
import { type TransferRepository } from '../store/transfers.ts'
import { type Said } from './request.ts'

/** What was said before a session was opened: the client brings it along. */
export class Earlier {
  readonly #transfers: TransferRepository

  constructor (transfers: TransferRepository) {
    this.#transfers = transfers
  }

  /** Puts messages into a session, unless something is in it. */
  async put ({ tenantId }: Principal, session: SessionView, said: readonly Said[]): Promise<void> {
    if (said.length === 0) return
    const timestamp = new Date()
    const messages = asFirstOf({ ...session, tenantId }, said.map(({ role, content }) => (
      { id: newId(), role: role === 'user' ? 'user' : 'bot', content, timestamp }
    )))
    // The numbers first: whatever happens then, no turn takes one that is borne by a message.
    if (await this.#transfers.advance(session.id, behind(messages))) await this.#transfers.insertMessages(messages)
  }
}
