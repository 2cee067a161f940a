import { setTimeout as delay } from 'node:timers/promises'
import { type Message } from '../store/messages.ts'
import { untilEnd } from './followed-message.ts'
import { type EndReason, type LiveMessage } from './live-message.ts'

/** The bot messages that this process is writing now. */
export class LiveMessages {
  readonly #byId = new Map<string, LiveMessage>()
  #drained = false

  get (id: string): LiveMessage | undefined {
    return this.#byId.get(id)
  }

  /** Keeps a message findable while `work` runs. */
  async during (live: LiveMessage, work: Promise<void>): Promise<void> {
    this.#byId.set(live.botMessage.id, live)
    if (this.#drained) live.abort('interrupted')
    await work
    this.#byId.delete(live.botMessage.id)
  }

  abortWhere (matches: (message: Message) => boolean, reason: EndReason): void {
    for (const live of this.#byId.values()) {
      if (matches(live.botMessage)) live.abort(reason)
    }
  }

  /** Waits `graceMs` for all to end, interrupts those that have not, and waits for their end, too. */
  async drain (graceMs: number): Promise<void> {
    const allEnded = async () => await Promise.allSettled([...this.#byId.values()].map(async (live) => await untilEnd(live)))
    const controller = new AbortController()
    await Promise.race([allEnded(), delay(graceMs, undefined, { signal: controller.signal }).catch(() => {})])
    controller.abort()
    this.#drained = true
    this.abortWhere(() => true, 'interrupted')
    // Anew: a send that had been taken on before may have become a turn meanwhile.
    await allEnded()
  }
}
