import { type ApiError } from '../../errors.ts'
import { type Admission, type Entry, type Permit } from './admission/admission.ts'
import { type Verdict } from './admission/breaker.ts'

/** Why an attempt failed, and what that means for the next. */
export interface Failure {
  readonly error: ApiError
  /** Milliseconds that the model asked to wait. */
  readonly hintMs?: number | undefined
  /** Whether to try again, when the kind of the error alone does not decide it. */
  readonly again?: 'at once' | 'never' | undefined
}

/** What became of an attempt. */
export type Attempted<T> = { readonly value: T } | { readonly failure: Failure }

export interface RetryTerms {
  /** Attempts in all, the first included. */
  readonly attempts: number
  /** The longest that is waited before the second attempt, in milliseconds; it doubles with each. */
  readonly baseMs: number
  /** The shortest time over which the limiter counts calls. */
  readonly limiterWindowMs: number
  /** From 0 to 1. */
  readonly random: () => number
}

export const RETRY_TERMS: RetryTerms = { attempts: 3, baseMs: 500, limiterWindowMs: 1000, random: Math.random }

/** Who asks for what. */
export type Caller = Omit<Entry, 'attempt' | 'delayMs'>

const MAX_DELAY_MS = 30_000

/**
 * Makes attempts, each with a permit of its own, until one succeeds, the failure is final, or nothing is left of the
 * attempts or the time. Throws the last failure, what `admission.enter` throws, and what `attempt` throws. `attempt`
 * must see to it that its permit is released.
 */
export async function withRetries<T> (
  admission: Admission, terms: RetryTerms, caller: Caller, attempt: (permit: Permit, number: number) => Promise<Attempted<T>>
): Promise<T> {
  let delayMs = 0
  for (let number = 1; ; number++) {
    const permit = await admission.enter({ ...caller, attempt: number, delayMs })
    const attempted = await judged(permit, async () => await attempt(permit, number))
    if ('value' in attempted) return attempted.value
    const { failure } = attempted
    const limited = failure.error.code === 'upstream_rate_limited'
    delayMs = delayAfter(number, failure, terms)
    if (limited) permit.refused(delayMs)
    const isFinal = failure.again === 'never' || (failure.again === undefined && !failure.error.kind.retryable)
    if (isFinal || number >= terms.attempts) throw failure.error
    if (performance.now() + delayMs >= caller.deadline && !limited) throw failure.error
    // Its model is paused for everybody, and opens for one at a time.
    if (limited) delayMs = 0
  }
}

/** Milliseconds to wait after so many attempts: exponential, with full jitter, on top of what was asked for. */
function delayAfter (attempts: number, { error, hintMs, again }: Failure, terms: RetryTerms): number {
  if (again === 'at once') return 0
  const { baseMs, limiterWindowMs, random } = terms
  // To ask a limiter earlier than it can have changed its mind would be an attempt for nothing.
  const atLeast = hintMs ?? (error.code === 'upstream_rate_limited' ? limiterWindowMs : 0)
  return Math.min(MAX_DELAY_MS, atLeast + random() * baseMs * 2 ** (attempts - 1))
}

const SIGNS_OF_DOWN = new Set(['upstream_failed', 'upstream_unavailable', 'upstream_timeout'])

/** Tells the permit how the attempt ended. */
async function judged<T> (permit: Permit, attempt: () => Promise<Attempted<T>>): Promise<Attempted<T>> {
  let verdict: Verdict = 'unknown'
  try {
    const attempted = await attempt()
    verdict = 'failure' in attempted && SIGNS_OF_DOWN.has(attempted.failure.error.code) ? 'down' : 'up'
    return attempted
  } finally {
    permit.end(verdict)
  }
}
