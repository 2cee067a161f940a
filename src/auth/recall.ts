import { growingCache } from '../growing-cache.ts'

// What is revoked elsewhere must be refused within 5 s on every replica.
const DEAD_AFTER_MS = 5000
const STALE_AFTER_MS = 2500
const MAX_ENTRIES = 10_000

interface Reading<V> {
  readonly at: number
  readonly result: Promise<V>
}

/**
 * Remembers for a few seconds what was looked up. What is in use is looked up again in the background before it is too old, so
 * that in the steady state nobody waits for the store. Nothing older than five seconds is handed out, counted from the
 * beginning of its reading.
 */
export class Recall<V> {
  readonly #known = growingCache<{ readonly at: number, readonly value: V }>(MAX_ENTRIES)
  readonly #running = new Map<string, Reading<V>>()
  readonly #look: (key: string) => Promise<V>

  constructor (look: (key: string) => Promise<V>) {
    this.#look = look
  }

  async get (key: string): Promise<V> {
    const known = this.#known.get(key)
    const age = known ? performance.now() - known.at : Infinity
    if (known && age < STALE_AFTER_MS) return known.value
    const result = this.#read(key)
    if (!known || age >= DEAD_AFTER_MS) return await result
    // A reading that fails is told to whoever comes when this one is too old.
    result.catch(() => {})
    return known.value
  }

  /** What is asked from now on is looked up anew. */
  forget (key: string): void {
    this.#known.delete(key)
    this.#running.delete(key)
  }

  #read (key: string): Promise<V> {
    const now = performance.now()
    const running = this.#running.get(key)
    if (running && now - running.at < STALE_AFTER_MS) return running.result
    const result = this.#look(key).then((value) => {
      if (this.#running.get(key) === reading) this.#known.set(key, { at: now, value })
      return value
    }).finally(() => {
      if (this.#running.get(key) === reading) this.#running.delete(key)
    })
    const reading: Reading<V> = { at: now, result }
    this.#running.set(key, reading)
    return reading.result
  }
}
