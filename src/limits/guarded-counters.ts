import { type Count, type Counters } from './counters.ts'

// How long a request waits for its count: a store that is slow must not let more through. And how often one looks whether
// the counters are back.
const DEADLINE_MS = 10_000
const RETRY_MS = 1000

export interface LimitsLog {
  info (details: object, message: string): void
  warn (details: object, message: string): void
}

/** Counters elsewhere. While they are away, one request a second waits to find out; all others learn it at once. */
export class GuardedCounters implements Counters {
  readonly #counters: Counters
  readonly #log: LimitsLog
  #isAway = false
  #nextTry = 0

  constructor (counters: Counters, log: LimitsLog) {
    this.#counters = counters
    this.#log = log
  }

  async count (key: string, windowMs: number): Promise<Count> {
    if (this.#isAway) {
      const now = performance.now()
      if (now < this.#nextTry) throw new Error('the counters are away')
      this.#nextTry = now + RETRY_MS
    }
    try {
      const count = await inTime(this.#counters.count(key, windowMs))
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

async function inTime (counted: Promise<Count>): Promise<Count> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not counted within ${DEADLINE_MS} ms`)), DEADLINE_MS)
  })
  try {
    return await Promise.race([counted, late])
  } finally {
    clearTimeout(timer)
  }
}
