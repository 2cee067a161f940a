import { setTimeout as delay } from 'node:timers/promises'
import { type Message } from '../store/messages.ts'
import { type EndReason, type LiveMessage } from './live-message.ts'

/** The bot messages that this process is writing now. */
export class LiveMessages {
  readonly #byId = new Map<string, LiveMessage>()
  readonly #work = new Set<Promise<unknown>>()
  #drained = false
  readonly #cutOff = new AbortController()

  get size (): number {
    return this.#byId.size
  }

  get (id: string): LiveMessage | undefined {
    return this.#byId.get(id)
  }

  /** Aborted when `drain` waits no longer for what ends by itself. */
  get cutOff (): AbortSignal {
    return this.#cutOff.signal
  }

  /** Has `drain` wait for this, too: for a send that may become a message, or a reply that is not stored. */
  async expect<T> (work: Promise<T>): Promise<T> {
    this.#work.add(work)
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
    this.#cutOff.abort()
    this.abortWhere(() => true, 'interrupted')
    await this.#allEnded()
  }

  async #allEnded (): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work)
  }
}
