import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type Signal, type SignalRepository } from '../store/signals.ts'
import { type BusLog, type Carrier } from './bus.ts'

const POLL_MS = 250

/** Carries signals by the store that all replicas share: they arrive within about a quarter of a second. */
export class StoreCarrier implements Carrier {
  readonly isReady = true
  readonly isInstant = false
  readonly #signals: SignalRepository
  readonly #log: BusLog
  readonly #id = randomUUID()
  readonly #closing = new AbortController()

  constructor (signals: SignalRepository, log: BusLog) {
    this.#signals = signals
    this.#log = log
  }

  start (deliver: (signal: Signal) => void): void {
    void this.#poll(deliver)
  }

  send (signal: Signal): void {
    // Who misses it looks into the store sooner or later.
    this.#signals.send(this.#id, signal).catch(() => {})
  }

  /** One reading finds all topics. */
  watch (): void {}

  async close (): Promise<void> {
    this.#closing.abort()
  }

  async #poll (deliver: (signal: Signal) => void): Promise<void> {
    const { signal: closing } = this.#closing
    const cursor = this.#signals.cursor(this.#id)
    let isFirst = true
    let isAway = false
    while (!closing.aborted) {
      try {
        const signals = await cursor.next()
        // What the first reading finds was said before this process was there.
        if (!isFirst && !closing.aborted) signals.forEach(deliver)
        isFirst = false
        isAway = false
      } catch (error) {
        if (!isAway && !closing.aborted) this.#log.warn({ err: error }, 'the signals of other replicas cannot be read')
        isAway = true
      }
      await delay(POLL_MS, undefined, { signal: closing }).catch(() => {})
    }
  }
}
