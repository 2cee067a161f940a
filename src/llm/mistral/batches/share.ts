/** What one caller waits for: its results, which may come from several calls. */
export class Share<T> {
  readonly #outcome = Promise.withResolvers<T[]>()
  readonly #results: T[]
  readonly #listeners: Array<() => void> = []
  readonly #signal: AbortSignal
  #missing: number
  #settled = false

  /** An abort of the signal ends the wait with its reason. */
  constructor (count: number, signal: AbortSignal) {
    this.#results = new Array<T>(count)
    this.#missing = count
    this.#signal = signal
    signal.addEventListener('abort', this.#abort)
  }

  get promise (): Promise<T[]> {
    return this.#outcome.promise
  }

  /** True: nobody waits for it any more. */
  get isSettled (): boolean {
    return this.#settled
  }

  onSettled (listener: () => void): void {
    this.#listeners.push(listener)
  }

  give (index: number, result: T): void {
    this.#results[index] = result
    if (--this.#missing === 0) this.#settle(() => this.#outcome.resolve(this.#results))
  }

  /** The first failure counts. */
  fail (error: unknown): void {
    this.#settle(() => this.#outcome.reject(error))
  }

  readonly #abort = (): void => this.fail(this.#signal.reason)

  #settle (tell: () => void): void {
    if (this.#settled) return
    this.#settled = true
    this.#signal.removeEventListener('abort', this.#abort)
    tell()
    for (const listener of this.#listeners) listener()
  }
}
