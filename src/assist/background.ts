/** Whether work may go on; aborted when the process goes away. */
export type Work = (signal: AbortSignal) => Promise<void>

// Enough to keep up with hundreds of turns at once; a fraction of the model calls that those may make.
const MAX_RUNNING = 4
const MAX_WAITING = 200

/** Work that nobody waits for: a little at a time, and dropped where there is too much. */
export class Background {
  readonly #failed: (error: unknown) => void
  readonly #waiting = new Map<string, Work>()
  readonly #running = new Map<string, Promise<void>>()
  readonly #closing = new AbortController()

  /** `failed` is told what went wrong with some work, except for what the end of the process cuts off. */
  constructor (failed: (error: unknown) => void) {
    this.#failed = failed
  }

  /** Does some work soon, unless there is work with this key already, or too much. */
  add (key: string, work: Work): void {
    if (this.#closing.signal.aborted || this.#waiting.size >= MAX_WAITING) return
    if (this.#waiting.has(key) || this.#running.has(key)) return
    this.#waiting.set(key, work)
    this.#next()
  }

  /** Resolves when there is nothing left to do. */
  async idle (): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values())
  }

  /** Drops what waits, and ends what runs. */
  async close (): Promise<void> {
    this.#closing.abort()
    this.#waiting.clear()
    await this.idle()
  }

  #next (): void {
    for (const [key, work] of this.#waiting) {
      if (this.#running.size >= MAX_RUNNING) return
      this.#waiting.delete(key)
      this.#running.set(key, this.#run(key, work))
    }
  }

  async #run (key: string, work: Work): Promise<void> {
    const { signal } = this.#closing
    try {
      await work(signal)
    } catch (error) {
      if (!signal.aborted) this.#failed(error)
    }
    this.#running.delete(key)
    this.#next()
  }
}
