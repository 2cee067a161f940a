import { type Bus } from '../bus/bus.ts'
import { ApiError } from '../errors.ts'
import { type Message } from '../store/message.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type SignalPayload } from '../store/signals.ts'
import { Alarm } from './alarm.ts'
import { type FollowedMessage, Listeners } from './followed-message.ts'
import { ASK_MS, TEXT_WANTED, textTopic } from './live-text.ts'

interface Dependencies {
  readonly bus: Bus
  readonly messages: MessageRepository
  /** How often the store is read, where nothing comes by the bus. */
  readonly intervalMs: number
  /** Those that are followed now. */
  readonly followed: Map<string, StoredMessage>
}

/**
 * A bot message that another process is writing, or that has ended. It is followed by reading the store, and by what its
 * writer says on the bus, where that is faster. Offsets tell what fits: the store mends what the bus loses.
 */
export class StoredMessage implements FollowedMessage {
  botMessage: Message
  text: string
  readonly cause = undefined
  failure: Error | undefined
  readonly #deps: Dependencies
  readonly #listeners = new Listeners()
  readonly #alarm = new Alarm()
  #following = false
  /** The text got longer by the bus since the last look. */
  #heard = false
  #askedAt = -Infinity

  constructor (botMessage: Message, deps: Dependencies) {
    this.botMessage = botMessage
    this.text = botMessage.content
    this.#deps = deps
  }

  get ended (): boolean {
    return this.botMessage.status !== 'streaming'
  }

  subscribe (listener: () => void): () => void {
    const unsubscribe = this.#listeners.add(listener)
    if (!this.#following && !this.ended) void this.#follow()
    return unsubscribe
  }

  /** Looks until the message has ended or nobody listens any more. */
  async #follow (): Promise<void> {
    const { bus, intervalMs, followed } = this.#deps
    const { id } = this.botMessage
    this.#following = true
    followed.set(id, this)
    const stopHearing = bus.subscribe(textTopic(id), (piece) => this.#hear(piece))
    try {
      while (this.#listeners.size > 0 && !this.ended) {
        this.#ask()
        this.#heard = false
        await this.#alarm.rest(intervalMs)
        if (!this.#heard) await this.#read()
      }
    } catch (error) {
      this.failure = error as Error
      this.#listeners.notify()
    } finally {
      stopHearing()
      followed.delete(id)
      this.#following = false
    }
  }

  async #read (): Promise<void> {
    const { sessionId, id } = this.botMessage
    const read = await this.#deps.messages.find(sessionId, id)
    if (!read) throw new ApiError('not_found', { detail: `There is no message ${id} any more.` })
    this.botMessage = read
    // What came by the bus may be ahead of the store; an end is the truth.
    if (this.ended || read.content.length > this.text.length) this.text = read.content
    this.#listeners.notify()
  }

  /** Says on the bus from where on the text is wanted. Who writes it forgets that after a while. */
  #ask (): void {
    const { bus } = this.#deps
    if (!bus.isInstant || performance.now() - this.#askedAt < ASK_MS) return
    this.#askedAt = performance.now()
    bus.publish(TEXT_WANTED, { messageId: this.botMessage.id, offset: this.text.length })
  }

  #hear ({ offset, text, over }: SignalPayload): void {
    const known = this.text.length - Number(offset)
    if (known < 0) {
      // A piece was lost: ask anew with the next look.
      this.#askedAt = -Infinity
    } else if (typeof text === 'string' && text.length > known) {
      this.text += text.slice(known)
      this.#heard = true
      this.#listeners.notify()
    }
    if (over === 1) {
      this.#heard = false
      this.#alarm.ring()
    }
  }
}
