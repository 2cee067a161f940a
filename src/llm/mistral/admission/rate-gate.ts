/** What a good answer says about the budget of its model. */
export interface Budget {
  /** Calls that are left of it. */
  readonly remaining: number
  /** Milliseconds until it is full again, where that is known. */
  readonly resetMs?: number
}

export interface GateEvents {
  /** A call may go that might not before. */
  opened (): void
  /** No call may go until the pause is over, which begins now or has become longer. */
  paused (): void
}

/**
 * Holds calls of one model back, for everybody, when its limiter says so. After a pause one call goes first; with each
 * that is let through, one more may be in flight, so their number doubles with every round.
 */
export class RateGate {
  readonly #wide: number
  readonly #events: GateEvents
  #timer: NodeJS.Timeout | undefined
  #pausedUntil = 0
  #window = Infinity
  #remaining = Infinity
  #running = 0

  /** A window of `wide` calls is as good as none. */
  constructor (wide: number, events: GateEvents) {
    this.#wide = wide
    this.#events = events
  }

  /** When the pause ends, on the clock of `performance.now()`; 0 while there is none. */
  get pausedUntil (): number {
    return this.#pausedUntil
  }

  isOpen (): boolean {
    // Whatever is said to remain, one call must go to find out what remains now.
    return this.#pausedUntil === 0 && this.#running < Math.min(this.#window, Math.max(1, this.#remaining))
  }

  enter (): void {
    this.#running++
  }

  leave (): void {
    this.#running--
  }

  /** The limiter has let a call through. */
  passed ({ remaining, resetMs }: Budget): void {
    this.#remaining = remaining
    if (++this.#window >= this.#wide) this.#window = Infinity
    if (remaining === 0 && resetMs !== undefined) this.pause(resetMs)
    else this.#events.opened()
  }

  /** No call for so many milliseconds; a pause that ends later stands. */
  pause (ms: number): void {
    const until = performance.now() + ms
    if (until <= this.#pausedUntil) return
    this.#pausedUntil = until
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#resume(), ms).unref()
    this.#events.paused()
  }

  #resume (): void {
    this.#pausedUntil = 0
    this.#window = 1
    this.#remaining = Infinity
    this.#events.opened()
  }
}
