/** What a good answer says about the budget of its model. */
export interface Budget {
  /** Calls that are left of it. */
  readonly remaining: number
  /** Milliseconds until it is full again, where that is known. */
  readonly resetMs: number | undefined
}

export interface GateTerms {
  /** The shortest time over which a limiter counts calls, in milliseconds. */
  readonly limiterWindowMs: number
  /** The longest pause after a refusal that asks for none; it doubles with each that follows on it. */
  readonly baseMs: number
  /** From 0 to 1. */
  readonly random: () => number
}

export interface GateEvents {
  /** A call may go that might not before. */
  opened (): void
  /** No call may go until the pause is over, which begins now or has become longer. */
  paused (): void
}

const MAX_PAUSE_MS = 30_000
// One refusal may have any reason. So many at once, and such a share of the calls, show a limit.
const TELLING_REFUSALS = 3
const TELLING_SHARE = 1 / 3
// What was learned holds for some windows, then for less and less, and after a minute of the API's time not at all.
const WINDOWS_TO_DOUBLE = 8
const WINDOWS_TO_FORGET = 60
// Faster than this is not counted; limits of the API are far below.
const MAX_RECENT = 1024

/**
 * Holds the calls of one model back, for everybody, when its limiter says so. After a pause one call goes first, and
 * with each that is let through twice as many may go. Where many were refused at once, no more may go in a window of
 * time than were let through in that one; then slowly more.
 */
export class RateGate {
  readonly #terms: GateTerms
  readonly #events: GateEvents
  #running = 0
  /** Calls that may run at once, as far as the limiter says what is left. */
  #remaining = Infinity
  /** When the calls of the last window went out, oldest first. */
  #recent: number[] = []
  /** Calls that are let through in a window; infinite where no limit was met. */
  #learned = Infinity
  #learnedAt = 0

  #pausedUntil = 0
  #resumedAt = -Infinity
  /** Pauses since a call was last let through. */
  #pauses = 0
  /** Calls of the window in which this pause began, and how many of those were refused. */
  #burst = { sent: 0, refused: 0 }
  /** Since the last pause. */
  #sent = 0
  #passed = 0
  #timer: NodeJS.Timeout | undefined

  constructor (terms: GateTerms, events: GateEvents) {
    this.#terms = terms
    this.#events = events
  }

  /** When the pause ends, on the clock of `performance.now()`; 0 while there is none. */
  get pausedUntil (): number {
    return this.#pausedUntil
  }

  isOpen (): boolean {
    // Whatever is said to remain, one call must go to find out what remains now.
    return this.#pausedUntil === 0 && this.#running < Math.max(1, this.#remaining) && this.#opensIn() <= 0
  }

  enter (): void {
    this.#running++
    this.#sent++
    if (this.#recent.push(performance.now()) > MAX_RECENT) this.#recent.shift()
    this.#openInTime()
  }

  leave (): void {
    this.#running--
  }

  /** The limiter has let a call through. */
  passed ({ remaining, resetMs }: Budget): void {
    this.#passed++
    this.#pauses = 0
    this.#remaining = remaining
    if (remaining === 0 && resetMs !== undefined) this.#pause(resetMs)
    else this.#events.opened()
  }

  /** The limiter has refused a call, and may have asked to wait so many milliseconds. */
  refused (hintMs: number | undefined): void {
    const isFirst = this.#pausedUntil === 0
    if (isFirst) this.#burst = { sent: this.#countRecent(), refused: 0 }
    const { sent } = this.#burst
    const refused = ++this.#burst.refused
    if (refused >= TELLING_REFUSALS && refused >= sent * TELLING_SHARE) {
      this.#learned = Math.max(1, sent - refused)
      this.#learnedAt = performance.now()
    }
    const { baseMs, random } = this.#terms
    if (hintMs !== undefined) this.#pause(hintMs + random() * baseMs)
    else if (isFirst) this.#pause(this.#unaskedPauseMs())
  }

  #unaskedPauseMs (): number {
    const { baseMs, limiterWindowMs, random } = this.#terms
    const jitter = random() * baseMs * 2 ** this.#pauses
    // Refused again: to ask before the limiter begins to count anew would be one more attempt for nothing.
    return this.#pauses === 0 ? jitter : limiterWindowMs + jitter
  }

  /** A pause that ends later stands. */
  #pause (ms: number): void {
    const pauseMs = Math.min(ms, MAX_PAUSE_MS)
    const until = performance.now() + pauseMs
    if (until <= this.#pausedUntil) return
    if (this.#pausedUntil === 0) this.#pauses++
    this.#pausedUntil = until
    this.#wakeIn(pauseMs)
    this.#events.paused()
  }

  #wakeIn (ms: number): void {
    clearTimeout(this.#timer)
    // Those who wait have deadlines, which keep the process alive.
    this.#timer = setTimeout(() => this.#wake(), Math.ceil(ms)).unref()
  }

  #wake (): void {
    if (this.#pausedUntil > 0) {
      this.#pausedUntil = 0
      this.#resumedAt = performance.now()
      this.#remaining = Infinity
      this.#sent = 0
      this.#passed = 0
    }
    // Also because timers may be early.
    this.#openInTime()
    this.#events.opened()
  }

  #openInTime (): void {
    const ms = this.#opensIn()
    if (ms > 0) this.#wakeIn(ms)
  }

  /** Milliseconds until the next call may go by what is known of the rate; 0 or less: now. */
  #opensIn (): number {
    const now = performance.now()
    return Math.max(this.#rampOpensIn(now), this.#windowOpensIn(now))
  }

  #rampOpensIn (now: number): number {
    const { limiterWindowMs } = this.#terms
    // A limiter refuses at once: a window without a refusal is as good as a call that was let through.
    const windows = Math.floor((now - this.#resumedAt) / limiterWindowMs)
    if (this.#sent < 2 ** (this.#passed + windows)) return 0
    return this.#resumedAt + (windows + 1) * limiterWindowMs - now
  }

  #windowOpensIn (now: number): number {
    if (this.#learned === Infinity) return 0
    const { limiterWindowMs } = this.#terms
    const windows = (now - this.#learnedAt) / limiterWindowMs
    if (windows > WINDOWS_TO_FORGET) this.#learned = Infinity
    const rate = Math.floor(this.#learned * (1 + (windows / WINDOWS_TO_DOUBLE) ** 3))
    const count = this.#countRecent()
    const blocking = this.#recent[count - rate]
    return blocking === undefined ? 0 : blocking + limiterWindowMs - now
  }

  /** Forgets the calls that are older than a window; the number of the others. */
  #countRecent (): number {
    const since = performance.now() - this.#terms.limiterWindowMs
    const first = this.#recent.findIndex((at) => at > since)
    if (first !== 0) this.#recent = first < 0 ? [] : this.#recent.slice(first)
    return this.#recent.length
  }
}
