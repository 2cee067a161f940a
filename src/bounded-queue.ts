/** What is done a few at a time; the rest waits in the order it came, up to a bound. */
export class BoundedQueue {
  readonly #atOnce: number
  readonly #mayWait: number
  readonly #waiting: Array<() => void> = []
  #running = 0

  constructor (atOnce: number, mayWait: number) {
    this.#atOnce = atOnce
    this.#mayWait = mayWait
  }

  /** Undefined: there is too much to do already, and this is not begun. */
  run<T> (work: () => Promise<T>): Promise<T> | undefined {
    if (this.#running >= this.#atOnce && this.#waiting.length >= this.#mayWait) return undefined
    return this.#run(work)
  }

  async #run<T> (work: () => Promise<T>): Promise<T> {
    // Who is called takes the place over from who calls.
    if (this.#running >= this.#atOnce) await new Promise<void>((resolve) => { this.#waiting.push(resolve) })
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
