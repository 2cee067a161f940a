/** A fixed window: what is taken in it counts until the clock's next multiple of its length. */
export class Window {
  readonly limit: number
  readonly #ms: number
  #index = -1
  #used = 0

  constructor (limit: number, ms: number) {
    this.limit = limit
    this.#ms = ms
  }

  /** Takes so much. The number of the window, for `giveBack`. */
  take (amount: number, now: number): number {
    this.#turn(now)
    this.#used += amount
    return this.#index
  }

  /** Gives back what was not needed, if that window still runs; a negative amount takes more. */
  giveBack (amount: number, index: number, now: number): void {
    this.#turn(now)
    if (index === this.#index) this.#used -= amount
  }

  /** What is left; below 0: more was taken than allowed. */
  left (now: number): number {
    this.#turn(now)
    return this.limit - this.#used
  }

  /** Milliseconds until the next window. */
  msLeft (now: number): number {
    return this.#ms - now % this.#ms
  }

  #turn (now: number): void {
    const index = Math.floor(now / this.#ms)
    if (index === this.#index) return
    this.#index = index
    this.#used = 0
  }
}
