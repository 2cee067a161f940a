type Waiter<T> = PromiseWithResolvers<IteratorResult<T, undefined>>

/**
 * Values pushed by one side and pulled, in order and each once, by an async iterator on the other. What was pushed
 * before a failure is delivered before it; what is pushed after the end is not. Its length is bounded by whoever pushes.
 */
export class EventQueue<T extends object> implements AsyncIterator<T, undefined> {
  readonly #onReturn: () => void
  readonly #waiters: Array<Waiter<T>> = []
  #values: T[] = []
  #failure: { error: unknown } | undefined
  #ended = false

  /** `onReturn` is called when the reader leaves before the end. */
  constructor (onReturn: () => void) {
    this.#onReturn = onReturn
  }

  push (value: T): void {
    if (this.#ended) return
    const waiter = this.#waiters.shift()
    if (waiter === undefined) this.#values.push(value)
    else waiter.resolve({ value, done: false })
  }

  end (): void {
    this.#ended = true
    for (const waiter of this.#waiters.splice(0)) waiter.resolve({ value: undefined, done: true })
  }

  /** Ends with an error, which the reader is told once. */
  fail (error: unknown): void {
    if (this.#ended) return
    const waiter = this.#waiters.shift()
    if (waiter === undefined) this.#failure = { error }
    // The reason of an abort may be anything, and is passed on as it is.
    else waiter.reject(error)
    this.end()
  }

  async next (): Promise<IteratorResult<T, undefined>> {
    const value = this.#values.shift()
    if (value !== undefined) return { value, done: false }
    if (this.#failure !== undefined) {
      const { error } = this.#failure
      this.#failure = undefined
      throw error
    }
    if (this.#ended) return { value: undefined, done: true }
    const waiter: Waiter<T> = Promise.withResolvers()
    this.#waiters.push(waiter)
    return waiter.promise
  }

  async return (): Promise<IteratorResult<T, undefined>> {
    this.#values = []
    this.#failure = undefined
    if (!this.#ended) this.#onReturn()
    this.end()
    return { value: undefined, done: true }
  }
}
