import { type Bus } from '../bus/bus.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type FollowedMessage } from './followed-message.ts'
import { type LiveMessages } from './live-messages.ts'
import { StoredMessage } from './stored-message.ts'

// A quarter of a second after it is in the store, the text is promised to be with the reader.
const MAX_INTERVAL_MS = 200

/** Where messages are followed in this process: each in one place, however many follow it. */
export class Followers {
  readonly #bus: Bus
  readonly #live: LiveMessages
  readonly #messages: MessageRepository
  readonly #intervalMs: number
  readonly #elsewhere = new Map<string, StoredMessage>()

  /** `flushMs`: how often the text of a message that another process writes gets longer in the store. */
  constructor (bus: Bus, live: LiveMessages, messages: MessageRepository, flushMs: number) {
    this.#bus = bus
    this.#live = live
    this.#messages = messages
    this.#intervalMs = Math.min(flushMs, MAX_INTERVAL_MS)
  }

  /** The message to follow; one that has ended is given as it is. */
  of (message: Message): FollowedMessage {
    const isRunning = message.status === 'streaming'
    const followed = this.#live.get(message.id) ?? (isRunning ? this.#elsewhere.get(message.id) : undefined)
    return followed ?? new StoredMessage(message, {
      bus: this.#bus, messages: this.#messages, intervalMs: this.#intervalMs, followed: this.#elsewhere
    })
  }
}
