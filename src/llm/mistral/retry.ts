import { type ApiError } from '../../errors.ts'
import { type Admission, type Entry, type Permit } from './admission/admission.ts'
import { type Verdict } from './admission/breaker.ts'
import { type GateTerms } from './admission/rate-gate.ts'

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

/** The base is that of a wait after any failure, too: the longest before the second attempt, and it doubles with each. */
export interface RetryTerms extends GateTerms {
  /** Attempts in all, the first included. */
  readonly attempts: number
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
    const { error, hintMs, again } = attempted.failure
    const limited = error.code === 'upstream_rate_limited'
    if (limited) permit.refused(hintMs)
    const isFinal = again === 'never' || (again === undefined && !error.kind.retryable)
    if (isFinal || number >= terms.attempts) throw error
    // A limiter holds back everybody, not only this call.
    delayMs = limited || again === 'at once' ? 0 : delayAfter(number, hintMs, terms)
    if (performance.now() + delayMs >= caller.deadline) throw error
  }
}

/** Milliseconds to wait after so many attempts: exponential, with full jitter, on top of what was asked for. */
function delayAfter (attempts: number, hintMs: number | undefined, { baseMs, random }: RetryTerms): number {
  return Math.min(MAX_DELAY_MS, (hintMs ?? 0) + random() * baseMs * 2 ** (attempts - 1))
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
