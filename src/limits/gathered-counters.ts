import { growingCache } from '../growing-cache.ts'
import { type Count, type Counters } from './counters.ts'

// How long a command may take: a store that is slow must not let more through.
const DEADLINE_MS = 10_000
// What is counted ahead of a key at most, and of its limit: what a process never uses of it, nobody can.
const MAX_AHEAD = 256
const MAX_SHARE = 1 / 1000
const MAX_KEYS = 10_000

/** Counts of one key that go together. */
interface Group {
  times: number
  /** The count before theirs. */
  readonly counted: Promise<Count>
}

/** What was counted ahead. `size`: how much that was; `count`: the last one that is used. */
interface Ahead {
  count: number
  left: number
  readonly size: number
  /** On the clock of `performance.now()`. */
  readonly until: number
}

/**
 * Counters elsewhere, asked once for many: while a key is being counted there, whoever else comes with it waits, and all of them go as
 * one; where the command fails that they waited for, they have failed with it. Of a key that is used again and again and far from its
 * limit, more is counted than there are, and those who come next need not ask. Each has a count of its own, as if it had come alone.
 */
export class GatheredCounters {
  readonly #counters: Counters
  readonly #ahead = growingCache<Ahead>(MAX_KEYS)
  /** By key, what is on its way, and what goes when that is back. */
  readonly #running = new Map<string, Promise<Count>>()
  readonly #gathering = new Map<string, Group>()

  constructor (counters: Counters) {
    this.#counters = counters
  }

  /** Counts once more what may be counted `max` times. */
  async count (key: string, windowMs: number, max: number): Promise<Count> {
    const ahead = this.#ahead.get(key)
    const now = Math.floor(performance.now())
    if (ahead && ahead.left > 0 && ahead.until > now) {
      ahead.left--
      return { count: ++ahead.count, resetMs: ahead.until - now }
    }
    const group = this.#gathering.get(key) ?? this.#gather(key, windowMs, max)
    const place = ++group.times
    const { count, resetMs } = await group.counted
    return { count: count + place, resetMs }
  }

  #gather (key: string, windowMs: number, max: number): Group {
    const group: Group = { times: 0, counted: this.#next(key, async () => await this.#ask(key, windowMs, max, group.times)) }
    this.#gathering.set(key, group)
    return group
  }

  async #next (key: string, ask: () => Promise<Count>): Promise<Count> {
    try {
      await this.#running.get(key)
    } finally {
      this.#gathering.delete(key)
    }
    const running = ask()
    this.#running.set(key, running)
    try {
      return await running
    } finally {
      this.#running.delete(key)
    }
  }

  async #ask (key: string, windowMs: number, max: number, times: number): Promise<Count> {
    // From before it was asked: better counted anew too early than in a window that is over.
    const asked = Math.floor(performance.now())
    const size = this.#sizeOf(this.#ahead.get(key), asked, max, times)
    const { count, resetMs } = await inTime(this.#counters.count(key, windowMs, times + size))
    this.#ahead.set(key, { count: count - size, left: size, size, until: asked + resetMs })
    return { count: count - size - times, resetMs }
  }

  /** How much to count ahead: more each time that it was used up, and nothing in the second half of the limit. */
  #sizeOf (last: Ahead | undefined, now: number, max: number, times: number): number {
    if (!last || last.until <= now) return 0
    const size = Math.min(2 * last.size + times, MAX_AHEAD, Math.floor(max * MAX_SHARE))
    return last.count + times + size <= max / 2 ? size : 0
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
