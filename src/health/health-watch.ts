const EVERY_MS = 1000
const ROUNDS = 10
// Whoever asks how the server is gets an answer within 50 ms, whatever the store does.
const WAIT_MS = 25
const PATIENCE_MS = 800
// A due job that nobody has begun for so long.
const BEHIND_MS = 60_000
// A twentieth of the disk, but of a small one this much, and of a large one no more than that.
const LITTLE_SHARE = 0.05
const [LITTLE_BYTES, ENOUGH_BYTES] = [256 * 1024 ** 2, 2 * 1024 ** 3]

export interface Space {
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface Watched {
  /** Rejects while the store does not take commands. */
  readonly ping: () => Promise<void>
  /** For how long the job has been due that has waited longest, in milliseconds. */
  readonly jobsWait: () => Promise<number>
  /** Where the data are, if they are on this machine. */
  readonly space: (() => Promise<Space>) | undefined
}

/**
 * Looks after what this process needs, one look at a time: every second at the store, every tenth time at the rest. So
 * however many ask, and however slow the store is, each is answered at once.
 */
export class HealthWatch {
  readonly #watched: Watched
  readonly #timer: NodeJS.Timeout
  #round = 0
  #looking: Promise<void> | undefined
  #lookingAround: Promise<unknown> | undefined
  #since = 0
  #store = 'ok'
  #jobs = 'ok'
  #disk = 'ok'

  constructor (watched: Watched) {
    this.#watched = watched
    if (!watched.space) this.#disk = 'not used'
    this.#timer = setInterval(() => this.#next(), EVERY_MS).unref()
    this.#next()
  }

  get jobs (): string {
    return this.#jobs
  }

  get disk (): string {
    return this.#disk
  }

  /** How the store is: by a look that begins now, where that is over soon, else as it was seen last. Whoever is away is looked for by the timer. */
  async store (): Promise<string> {
    if (this.#store !== 'ok') return this.#store
    const look = this.#look()
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, WAIT_MS)
    await Promise.race([look, promise])
    clearTimeout(timer)
    return this.#looking && performance.now() - this.#since > PATIENCE_MS ? 'does not answer' : this.#store
  }

  close (): void {
    clearInterval(this.#timer)
  }

  #look (): Promise<void> {
    if (this.#looking) return this.#looking
    this.#since = performance.now()
    this.#looking = this.#watched.ping().then(() => 'ok', () => 'is away').then((state) => {
      this.#store = state
      this.#looking = undefined
    })
    return this.#looking
  }

  #next (): void {
    void this.#look()
    if (this.#round++ % ROUNDS === 0) this.#lookingAround ??= this.#lookAround().finally(() => { this.#lookingAround = undefined })
  }

  async #lookAround (): Promise<void> {
    const { jobsWait, space } = this.#watched
    await Promise.all([
      // What was seen last stands; that the store is away is told apart.
      jobsWait().then((ms) => { this.#jobs = ms > BEHIND_MS ? 'behind' : 'ok' }, () => {}),
      space?.().then(({ freeBytes, totalBytes }) => {
        this.#disk = freeBytes < Math.min(ENOUGH_BYTES, Math.max(LITTLE_BYTES, LITTLE_SHARE * totalBytes)) ? 'nearly full' : 'ok'
      }, () => { this.#disk = 'cannot be read' })
    ])
  }
}
