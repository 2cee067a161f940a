import { Pace } from '../chat/pace.ts'
import { newId } from '../store/ids.ts'
import { type LeaseRepository } from '../store/leases.ts'

const LEASE = 'search-index'
const LEASE_MS = 30_000

/** The work on the index is another process's now, or is to end. */
export class ShiftEnded extends Error {
  constructor () {
    super('The work on the search index has ended.')
  }
}

/** The time in which the work on the index is ours. A process that dies or stalls is followed by another one. */
export class Shift {
  readonly #leases: LeaseRepository
  readonly #now: () => number
  readonly #onBegin: () => Promise<void>
  readonly #pace = new Pace()
  readonly #name = newId()
  #heldAt = -Infinity

  /** `now`: milliseconds of a clock that only goes forward; `onBegin`: done whenever the work has become ours. */
  constructor (leases: LeaseRepository, now: () => number, onBegin: () => Promise<void>) {
    this.#leases = leases
    this.#now = now
    this.#onBegin = onBegin
  }

  get isClosed (): boolean {
    return this.#pace.isClosed
  }

  /** Begins the shift, or goes on with it. False: the work is another process's. */
  async hold (): Promise<boolean> {
    if (this.#now() - this.#heldAt < LEASE_MS / 3) return true
    const isGoingOn = this.#isHeld
    if (!await this.confirm()) return false
    if (!isGoingOn) await this.#onBegin()
    return true
  }

  /** Asks the store whether the shift is still ours, and makes it last. */
  async confirm (): Promise<boolean> {
    const now = this.#now()
    const isHeld = await this.#leases.hold(LEASE, this.#name, LEASE_MS)
    this.#heldAt = isHeld ? now : -Infinity
    return isHeld
  }

  /** Does a step of the work, and rests for as long as that took. Throws where the shift has ended. */
  async step<T> (work: () => Promise<T>): Promise<T> {
    if (this.isClosed || !await this.hold()) throw new ShiftEnded()
    return await this.#pace.step(work)
  }

  /** Resolves after `ms`, or at once when closed. */
  async rest (ms: number): Promise<void> {
    await this.#pace.rest(ms)
  }

  /** Ends all rests, and the work with its next step. */
  close (): void {
    this.#pace.close()
  }

  /** Lets others do the work. */
  async end (): Promise<void> {
    if (this.#isHeld) await this.#leases.release(LEASE, this.#name).catch(() => {})
  }

  get #isHeld (): boolean {
    return this.#now() - this.#heldAt < LEASE_MS
  }
}
