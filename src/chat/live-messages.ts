import { setTimeout as delay } from 'node:timers/promises'
import { type Message } from '../store/message.ts'
import { type EndReason, type LiveMessage } from './live-message.ts'

/** The bot messages that this process is writing now. */
export class LiveMessages {
  readonly #byId = new Map<string, LiveMessage>()
  /** With what cuts it off, where it does not hang on a message. */
  readonly #work = new Map<Promise<unknown>, (() => void) | undefined>()
  #drained = false

  get size (): number {
    return this.#byId.size
  }

  get (id: string): LiveMessage | undefined {
    return this.#byId.get(id)
  }

  /**
   * Has `drain` wait for this, too: for a send that may become a message, or a reply that is not stored. `cutOff` is called when it
   * waits no longer for what ends by itself.
   */
  async expect<T> (work: Promise<T>, cutOff?: () => void): Promise<T> {
    this.#work.set(work, cutOff)
    return await work.finally(() => this.#work.delete(work))
  }

  /** Keeps a message findable while `work` runs. */
  async during (live: LiveMessage, work: Promise<void>): Promise<void> {
    this.#byId.set(live.botMessage.id, live)
    if (this.#drained) live.abort('interrupted')
    await this.expect(work)
    this.#byId.delete(live.botMessage.id)
  }

  abortWhere (matches: (message: Message) => boolean, reason: EndReason): void {
    for (const live of this.#byId.values()) {
      if (matches(live.botMessage)) live.abort(reason)
    }
  }

  /** Waits `graceMs` for all to end, interrupts those that have not, and waits for their end, too. */
  async drain (graceMs: number): Promise<void> {
    const controller = new AbortController()
    await Promise.race([this.#allEnded(), delay(graceMs, undefined, { signal: controller.signal }).catch(() => {})])
    controller.abort()
    this.#drained = true
    for (const cutOff of this.#work.values()) cutOff?.()
    this.abortWhere(() => true, 'interrupted')
    await this.#allEnded()
  }

  async #allEnded (): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work.keys())
  }
}
