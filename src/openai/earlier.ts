import { type Session as SessionView } from '../../schemas/session.ts'
import { type Principal } from '../auth/principal.ts'
import { newId } from '../store/ids.ts'
import { type Message } from '../store/messages.ts'
import { type TransferRepository } from '../store/transfers.ts'
import { type Said } from './request.ts'

/** What was said before a session was opened: the client brings it along. */
export class Earlier {
  readonly #transfers: TransferRepository

  constructor (transfers: TransferRepository) {
    this.#transfers = transfers
  }

  /** Puts messages into a session that nobody else knows yet. */
  async put ({ tenantId }: Principal, { id: sessionId, configId, userId, channel }: SessionView, said: readonly Said[]): Promise<void> {
    if (said.length === 0) return
    const timestamp = new Date()
    const messages: Message[] = []
    let rev = 0
    for (const { role, content } of said) {
      const last = messages.at(-1)
      // A reply begins with what it answers.
      if (role === 'user' || !last || last.role === 'bot') rev++
      messages.push({
        id: newId(),
        tenantId,
        configId,
        sessionId,
        userId,
        channel,
        seq: messages.length + 1,
        rev,
        parentId: last?.id ?? null,
        branchId: null,
        role: role === 'user' ? 'user' : 'bot',
        content,
        timestamp,
        status: 'completed',
        ...(role !== 'user' && { endedAt: timestamp, ...(last?.role === 'user' && { replyTo: last.id }) })
      })
    }
    // The numbers first: whatever happens then, no turn takes one that is borne by a message.
    await this.#transfers.advance(sessionId, { nextSeq: messages.length + 1, rev, tipId: messages.at(-1)!.id })
    await this.#transfers.insertMessages(messages)
  }
}
