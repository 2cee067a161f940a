import { setTimeout as delay } from 'node:timers/promises'

/** Work in the background that leaves others half of the store: after each step it rests as long as that took. */
export class Pace {
  readonly #closing = new AbortController()

  get isClosed (): boolean {
    return this.#closing.signal.aborted
  }

  /** Does one step of the work, and rests. */
  async step<T> (work: () => Promise<T>): Promise<T> {
    const started = performance.now()
    const result = await work()
    await this.rest(performance.now() - started)
    return result
  }

  /** Resolves after `ms`, or at once when closed. */
  async rest (ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#closing.signal }).catch(() => {})
  }

  close (): void {
    this.#closing.abort()
  }
}
