/** What a good answer says about the budget of its model. */
export interface Budget {
  /** Calls that are left of it. */
  readonly remaining: number
  /** Milliseconds until it is full again, where that is known. */
  readonly resetMs: number | undefined
}

export interface GateEvents {
  /** A call may go that might not before. */
  opened (): void
  /** No call may go until the pause is over, which begins now or has become longer. */
  paused (): void
}

// Near the learned rate growth is slow, so that a refusal is rare; after a minute it is as good as forgotten.
const WINDOWS_TO_DOUBLE = 8
// More would be no rate that any limiter holds back.
const MAX_RECENT = 1024

/**
 * Holds the calls of one model back, for everybody, when its limiter says so. After a pause one call goes first, and
 * with each that is let through twice as many may go in a window of time: up to as many as were let through before the
 * refusal, and then slowly beyond.
 */
export class RateGate {
  readonly #windowMs: number
  readonly #events: GateEvents
  #running = 0
  /** When the calls of the last window went out, since the last pause; oldest first. */
  #recent: number[] = []
  /** Calls in a window; infinite where no limit was met. */
  #learned = Infinity
  #ramp = Infinity
  /** Calls in flight, as far as the limiter says how many are left. */
  #remaining = Infinity
  #pausedUntil = 0
  #resumedAt = 0
  #timer: NodeJS.Timeout | undefined

  constructor (windowMs: number, events: GateEvents) {
    this.#windowMs = windowMs
    this.#events = events
  }

  /** When the pause ends, on the clock of `performance.now()`; 0 while there is none. */
  get pausedUntil (): number {
    return this.#pausedUntil
  }

  isOpen (): boolean {
    if (this.#pausedUntil > 0) return false
    // Whatever is said to remain, one call must go to find out what remains now.
    if (this.#running >= Math.max(1, this.#remaining)) return false
    return !this.#isFull()
  }

  enter (): void {
    this.#running++
    if (this.#recent.length >= MAX_RECENT && this.#countRecent() >= MAX_RECENT) this.#recent.shift()
    this.#recent.push(performance.now())
    this.#reopenInTime()
  }

  leave (): void {
    this.#running--
  }

  /** The limiter has let a call through. */
  passed ({ remaining, resetMs }: Budget): void {
    this.#ramp *= 2
    this.#remaining = remaining
    if (remaining === 0 && resetMs !== undefined) this.#pause(resetMs)
    this.#events.opened()
  }

  /** The limiter has refused a call: no other for so many milliseconds. A pause that ends later stands. */
  refused (ms: number): void {
    // Calls that went out together are refused one after the other: what is left are those that were let through.
    // If it is the first since the last pause, it does not tell how many would be let through.
    if (this.#pausedUntil === 0 && this.#ramp > 1) this.#learned = this.#countRecent()
    this.#learned = Math.max(1, this.#learned - 1)
    this.#pause(ms)
  }

  #pause (ms: number): void {
    const until = performance.now() + ms
    if (until <= this.#pausedUntil) return
    this.#pausedUntil = until
    this.#wake(ms, () => {
      this.#pausedUntil = 0
      this.#resumedAt = performance.now()
      this.#recent = []
      this.#ramp = 1
      this.#remaining = Infinity
    })
    this.#events.paused()
  }

  /** When the window is full, the oldest of its calls leaving it is the next chance. */
  #reopenInTime (): void {
    if (!this.#isFull()) return
    const [oldest = 0] = this.#recent
    this.#wake(oldest + this.#windowMs - performance.now(), () => {})
  }

  #wake (ms: number, change: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      change()
      // Timers may be early by a millisecond.
      this.#reopenInTime()
      this.#events.opened()
    // Who waits has a deadline that keeps the process alive.
    }, ms).unref()
  }

  #isFull (): boolean {
    return this.#learned !== Infinity && this.#countRecent() + 1 > this.#rate()
  }

  #rate (): number {
    const windows = (performance.now() - this.#resumedAt) / this.#windowMs
    return Math.min(this.#ramp, this.#learned * (1 + (windows / WINDOWS_TO_DOUBLE) ** 3))
  }

  #countRecent (): number {
    const since = performance.now() - this.#windowMs
    const first = this.#recent.findIndex((at) => at > since)
    this.#recent = first < 0 ? [] : first > 0 ? this.#recent.slice(first) : this.#recent
    return this.#recent.length
  }
}
