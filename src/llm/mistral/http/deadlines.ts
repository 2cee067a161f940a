import { ApiError } from '../../../errors.ts'

/** Milliseconds; each is a deadline of its own. */
export interface DeadlineLimits {
  /** From a request on its way to the first of its text. */
  readonly firstTokenTimeoutMs: number
  /** From one event of a stream, or packet of a whole answer, to the next, once there is text. */
  readonly idleTimeoutMs: number
}

// The status of a refusal is known; its body is only for the log.
const REFUSAL_BODY_MS = 1000

/**
 * The clock of the phase that a call is in; when it runs out it tells `upstream_timeout`, once. (The connect deadline
 * is the pool's: only it can give up a connection. The total is its caller's: it goes on from one call to the next.)
 */
export class Deadlines {
  readonly #limits: DeadlineLimits
  readonly #expired: (error: ApiError) => void
  #phase: NodeJS.Timeout | undefined
  #idle = false

  constructor (limits: DeadlineLimits, expired: (error: ApiError) => void) {
    this.#limits = limits
    this.#expired = expired
  }

  /** The request is out: text must come. */
  awaitText (): void {
    this.#enter(this.#limits.firstTokenTimeoutMs, 'The model did not begin to answer in time.')
  }

  /** Something came: the next must not be long. */
  awaitNext (): void {
    if (this.#idle) {
      this.#phase?.refresh()
      return
    }
    this.#idle = true
    this.#enter(this.#limits.idleTimeoutMs, 'The model fell silent within its answer.')
  }

  /** The call was refused: its reason is waited for, but not long. */
  awaitRefusalBody (): void {
    this.#enter(REFUSAL_BODY_MS, 'The model did not finish its refusal in time.')
  }

  clear (): void {
    clearTimeout(this.#phase)
  }

  #enter (ms: number, detail: string): void {
    clearTimeout(this.#phase)
    this.#phase = setTimeout(() => this.#expired(new ApiError('upstream_timeout', { detail })), ms)
  }
}
