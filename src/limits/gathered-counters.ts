import { type Count, type Counters } from './counters.ts'

// How long a command may take: a store that is slow must not let more through.
const DEADLINE_MS = 10_000

/** Counts of one key that go together. */
interface Group {
  times: number
  readonly counted: Promise<Count>
}

/**
 * Counters elsewhere, asked once for many: while a key is being counted there, whoever else comes with it waits, and all of them go as
 * one. Each has a count of its own, as if it had come alone; where the command fails that they waited for, they have failed with it.
 */
export class GatheredCounters implements Counters {
  readonly #counters: Counters
  /** By key, what is on its way, and what goes when that is back. */
  readonly #running = new Map<string, Promise<Count>>()
  readonly #gathering = new Map<string, Group>()

  constructor (counters: Counters) {
    this.#counters = counters
  }

  async count (key: string, windowMs: number): Promise<Count> {
    const group = this.#gathering.get(key) ?? this.#gather(key, windowMs)
    const place = ++group.times
    const { count, resetMs } = await group.counted
    return { count: count - group.times + place, resetMs }
  }

  #gather (key: string, windowMs: number): Group {
    const group: Group = { times: 0, counted: this.#after(key, async () => await inTime(this.#counters.count(key, windowMs, group.times))) }
    this.#gathering.set(key, group)
    return group
  }

  async #after (key: string, count: () => Promise<Count>): Promise<Count> {
    try {
      await this.#running.get(key)
    } finally {
      this.#gathering.delete(key)
    }
    const running = count()
    this.#running.set(key, running)
    try {
      return await running
    } finally {
      this.#running.delete(key)
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
