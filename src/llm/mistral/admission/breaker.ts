import { CircuitState, ConsecutiveBreaker, circuitBreaker, handleWhenResult } from 'cockatiel'
import { ApiError } from '../../../errors.ts'

/** How a call ended, as far as it tells whether the model is up. `unknown`: it was given up before it could tell. */
export type Verdict = 'up' | 'down' | 'unknown'

export interface BreakerLimits {
  /** So many failures in a row open it, unless as many calls are out whose end is not known. */
  readonly failures: number
  /** Milliseconds until one call may find out whether the model is back. */
  readonly openMs: number
}

/**
 * Ten in a row: of 1,000 calls that fail at random, three in ten, one series in 240 gets there by chance (0.7 * 0.3^10
 * a call), and a model that is away is found out at once.
 */
export const BREAKER_LIMITS: BreakerLimits = { failures: 10, openMs: 10_000 }

/** Keeps calls from a model that does nothing but fail. */
export class Breaker {
  readonly #openMs: number
  readonly #policy
  #openedAt = 0
  #running = 0

  /** `opened` is told when calls are refused from now on. */
  constructor ({ failures, openMs }: BreakerLimits, opened: () => void) {
    this.#openMs = openMs
    const breaker = new ConsecutiveBreaker(failures)
    this.#policy = circuitBreaker(handleWhenResult((verdict) => verdict !== 'up'), {
      halfOpenAfter: openMs,
      breaker: {
        state: undefined,
        success: () => breaker.success(),
        // Failures are faster than replies: of many calls that went out together they all come first.
        failure: () => breaker.failure() && breaker.state > this.#running
      }
    })
    this.#policy.onBreak(() => {
      this.#openedAt = Date.now()
      opened()
    })
  }

  /** Calls are refused, or one is about to find out whether they still must be. */
  get isOpen (): boolean {
    return this.#policy.state !== CircuitState.Closed
  }

  /** Why no call may go now; nothing when one may. */
  refusal (): ApiError | undefined {
    const { state } = this.#policy
    if (state === CircuitState.Closed) return undefined
    const leftMs = this.#openedAt + this.#openMs - Date.now()
    // Half open, one call is on its way to find out. The policy would let others wait for it.
    if (state === CircuitState.Open && leftMs <= 0) return undefined
    return new ApiError('upstream_unavailable', {
      detail: 'The model has failed again and again, so it is not asked for now.',
      headers: { 'retry-after': String(Math.max(1, Math.ceil(leftMs / 1000))) }
    })
  }

  /** A call goes out. The function takes its verdict, once. */
  begin (): (verdict: Verdict) => void {
    this.#running++
    const { promise, resolve, reject } = Promise.withResolvers<Verdict>()
    this.#policy.execute(() => promise).catch(() => {})
    const { state } = this.#policy
    return (verdict) => {
      this.#running--
      // A rejection does not count. What began in another state says nothing about this one; and a probe that was given
      // up must not close the breaker, so that it counts as a failure.
      const counts = this.#policy.state === state && (verdict !== 'unknown' || state === CircuitState.HalfOpen)
      if (counts) resolve(verdict)
      else reject(new Error('no verdict'))
    }
  }
}
