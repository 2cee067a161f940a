/** Counts calls that are running or wait for a connection, so that their number has a bound. */
export class CallLimit {
  readonly #max: number
  #open = 0

  constructor (max: number) {
    this.#max = max
  }

  /** False: too many are open already. True: `leave` must follow, once. */
  tryEnter (): boolean {
    if (this.#open >= this.#max) return false
    this.#open++
    return true
  }

  leave (): void {
    this.#open--
  }
}
