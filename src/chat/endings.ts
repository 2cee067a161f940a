import { type Message, type MessageEnd, type Unrecorded } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type UsageLedger } from '../usage/ledger.ts'

/** Where a model was not asked, or nobody is left who knows what it took. */
const nothingTaken: Unrecorded = { keyId: null, subjects: [], attempts: [] }

/** Ends replies, whoever does so, and sees to what follows from it. */
export class Endings {
  readonly #messages: MessageRepository
  readonly #ledger: UsageLedger

  constructor (messages: MessageRepository, ledger: UsageLedger) {
    this.#messages = messages
    this.#ledger = ledger
  }

  /**
   * Ends a streaming message, and notes in the same write what is still to be done. `isTold`: outside, too, as all is that
   * is not deleted. Undefined: somebody else has ended it.
   */
  async end (
    id: string, end: Partial<MessageEnd> & Pick<MessageEnd, 'status'>, isTold = true, taken = nothingTaken
  ): Promise<Message | undefined> {
    return this.#ended(await this.#messages.end(id, end, taken), isTold, taken)
  }

  /** The same, of a message that this process writes. */
  async complete (message: Message, end: MessageEnd, isTold: boolean, taken: Unrecorded): Promise<Message | undefined> {
    return this.#ended(await this.#messages.complete(message, end, taken), isTold, taken)
  }

  #ended (message: Message | undefined, isTold: boolean, taken: Unrecorded): Message | undefined {
    if (message) this.#ledger.end(message, taken, isTold)
    return message
  }
}
