/** A request that has to wait before it is begun. */
export interface Waiting {
  readonly enter: () => void
  readonly refuse: () => void
  readonly isGone: () => boolean
}

export interface Surroundings {
  /** In milliseconds. */
  readonly now: () => number
  /** Calls back when the event loop has done what it has to do at present. */
  readonly afterTurn: (callback: () => void) => void
  /** Calls back a little later. */
  readonly afterPause: (callback: () => void) => void
  /** Whether the store has as much to do as it can. */
  readonly isStoreBusy: () => boolean
  readonly onChange: (isOverloaded: boolean) => void
}

// For so long, requests are begun in one turn of the event loop as they come; the others of that turn wait.
const TURN_MS = 2
const MAY_WAIT_MS = 30_000
// Under overload, as few as this, so that who is let in is served fast.
const MAY_WAIT_UNDER_OVERLOAD = 16
// Where everyone who came in within this time had waited longer than that, the line is no burst.
export const WINDOW_MS = 2000
const LONG_MS = 1000
// The overload is over where no more than this share had to be refused.
const FEW = 0.1

/**
 * Lets requests in as fast as they can be worked on, and refuses what comes on top of that. It goes by the turns of the event
 * loop: while this process has time left, they are short, and everybody is let in at once; when it has none, they get long, and
 * one is let in each turn. And it asks whether the store has time left. Nobody is counted who is inside, so it does not matter how
 * long who waits for a model or a reader.
 */
export class LoadGate {
  readonly #around: Surroundings
  readonly #mayWait: number
  readonly #line: Array<Waiting & { readonly since: number }> = []
  #turnBegan = 0
  #isTurnWatched = false
  #isOverloaded = false
  // Since the window began.
  #entered = 0
  #refused = 0
  #shortestWait = Infinity

  /** `mayWait`: how many a burst can be beyond what is begun at once. */
  constructor (around: Surroundings, mayWait = 1024) {
    this.#around = around
    this.#mayWait = mayWait
  }

  get waiting (): number {
    return this.#line.length
  }

  get isOverloaded (): boolean {
    return this.#isOverloaded
  }

  /** Whether a request may go on at once. Else it is to line up. */
  isOpen (): boolean {
    if (!this.#isTurnWatched) this.#watchTurn()
    else if (this.#line.length > 0 || this.#around.now() - this.#turnBegan >= TURN_MS) return false
    if (this.#around.isStoreBusy()) return false
    this.#shortestWait = 0
    this.#entered++
    return true
  }

  /** Tells the request once, now or later, what is to become of it. */
  lineUp (waiting: Waiting): void {
    if (this.#line.length < Math.min(this.#mayWait, this.#isOverloaded ? MAY_WAIT_UNDER_OVERLOAD : Infinity)) {
      this.#line.push({ ...waiting, since: this.#around.now() })
      return
    }
    if (!this.#isOverloaded) this.#change(true)
    this.#refuse(waiting)
  }

  /** To be called every `WINDOW_MS`. */
  judge (): void {
    const now = this.#around.now()
    while (this.#line[0] && now - this.#line[0].since > MAY_WAIT_MS) this.#refuse(this.#line.shift()!)
    const [first] = this.#line
    if (this.#isOverloaded) {
      if (this.#refused <= FEW * (this.#entered + this.#refused)) this.#change(false)
    } else if (first && Math.min(this.#shortestWait, now - first.since) > LONG_MS) this.#change(true)
    this.#entered = 0
    this.#refused = 0
    this.#shortestWait = Infinity
  }

  #watchTurn (): void {
    this.#turnBegan = this.#around.now()
    this.#isTurnWatched = true
    this.#around.afterTurn(() => this.#endTurn())
  }

  #endTurn (): void {
    if (this.#line.length > 0 && this.#around.isStoreBusy()) return this.#around.afterPause(() => this.#endTurn())
    this.#isTurnWatched = false
    let next = this.#line.shift()
    while (next?.isGone()) next = this.#line.shift()
    if (!next) return
    this.#watchTurn()
    this.#shortestWait = Math.min(this.#shortestWait, this.#turnBegan - next.since)
    this.#entered++
    next.enter()
  }

  #refuse (waiting: Waiting): void {
    this.#refused++
    waiting.refuse()
  }

  #change (isOverloaded: boolean): void {
    this.#isOverloaded = isOverloaded
    this.#around.onChange(isOverloaded)
  }
}
