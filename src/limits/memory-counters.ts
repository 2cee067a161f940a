import { growingCache } from '../growing-cache.ts'
import { type Count, type Counters } from './counters.ts'

// The ones used longest ago go first.
const MAX_COUNTERS = 50_000

interface Window {
  count: number
  until: number
}

/** Counts of this process alone, by a clock that is never set back. */
export class MemoryCounters implements Counters {
  readonly #windows = growingCache<Window>(MAX_COUNTERS)

  async count (key: string, windowMs: number, times = 1): Promise<Count> {
    // Whole milliseconds: of fractions, sums come out a little beside what they should be.
    const now = Math.floor(performance.now())
    const window = this.#windows.get(key)
    if (window && window.until > now) {
      window.count += times
      return { count: window.count, resetMs: window.until - now }
    }
    this.#windows.set(key, { count: times, until: now + windowMs })
    return { count: times, resetMs: windowMs }
  }
}
