import { setTimeout as delay } from 'node:timers/promises'
import { ApiError } from '../errors.ts'
import { type Message, type MessageRepository } from '../store/messages.ts'
import { type FollowedMessage, Listeners } from './followed-message.ts'

/** A bot message that another process is writing, or that has ended: followed by reading the store. */
export class StoredMessage implements FollowedMessage {
  readonly userMessage: Message
  botMessage: Message
  readonly cause = undefined
  failure: Error | undefined
  readonly #messages: MessageRepository
  readonly #intervalMs: number
  readonly #listeners = new Listeners()
  #polling = false

  constructor (messages: MessageRepository, intervalMs: number, userMessage: Message, botMessage: Message) {
    this.#messages = messages
    this.#intervalMs = intervalMs
    this.userMessage = userMessage
    this.botMessage = botMessage
  }

  get text (): string {
    return this.botMessage.content
  }

  get ended (): boolean {
    return this.botMessage.status !== 'streaming'
  }

  subscribe (listener: () => void): () => void {
    const unsubscribe = this.#listeners.add(listener)
    if (!this.#polling && !this.ended) void this.#poll()
    return unsubscribe
  }

  /** Reads until the message has ended or nobody listens any more. */
  async #poll (): Promise<void> {
    this.#polling = true
    const { sessionId, id } = this.botMessage
    try {
      while (this.#listeners.size > 0 && !this.ended) {
        await delay(this.#intervalMs)
        const read = await this.#messages.find(sessionId, id)
        if (!read) throw new ApiError('not_found', { detail: `There is no message ${id} any more.` })
        this.botMessage = read
        this.#listeners.notify()
      }
    } catch (error) {
      this.failure = error as Error
      this.#listeners.notify()
    } finally {
      this.#polling = false
    }
  }
}
