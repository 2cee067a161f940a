import { type Count } from './counters.ts'
import { type GatheredCounters } from './gathered-counters.ts'

// How often one looks whether the counters are back.
const RETRY_MS = 1000

export interface LimitsLog {
  info (details: object, message: string): void
  warn (details: object, message: string): void
}

/** Counters elsewhere. While they are away, one request a second waits to find out; all others learn it at once. */
export class GuardedCounters {
  readonly #counters: GatheredCounters
  readonly #log: LimitsLog
  #isAway = false
  #nextTry = 0

  constructor (counters: GatheredCounters, log: LimitsLog) {
    this.#counters = counters
    this.#log = log
  }

  async count (key: string, windowMs: number, max: number): Promise<Count> {
    if (this.#isAway) {
      const now = performance.now()
      if (now < this.#nextTry) throw new Error('the counters are away')
      this.#nextTry = now + RETRY_MS
    }
    try {
      const count = await this.#counters.count(key, windowMs, max)
      if (this.#isAway) this.#log.info({}, 'the counters of the limits are back')
      this.#isAway = false
      return count
    } catch (error) {
      if (!this.#isAway) this.#log.warn({ err: error }, 'the counters of the limits are away')
      this.#isAway = true
      this.#nextTry = performance.now() + RETRY_MS
      throw error
    }
  }
}
