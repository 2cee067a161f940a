import { type Budget } from '../admission/rate-gate.ts'
import { type ResponseHeaders, headerOf } from '../http/http-call.ts'

/**
 * Milliseconds that an answer asks to wait: `retry-after`, in seconds or as a date, else when the limiter's window
 * begins anew. Nothing when neither is there or can be read. `now` is in milliseconds since 1970.
 */
export function readWait (headers: ResponseHeaders, now: number): number | undefined {
  const retryAfter = headerOf(headers, 'retry-after')
  const seconds = numberIn(retryAfter) ?? (Date.parse(retryAfter ?? '') - now) / 1000
  const ms = Number.isNaN(seconds) ? resetMs(headers) : seconds * 1000
  return ms === undefined ? undefined : Math.max(0, ms)
}

/** What a good answer says about the calls that are left, in the headers of 2026 or those before; infinite if nothing. */
export function readBudget (headers: ResponseHeaders): Budget {
  const bySize = callsLeft(headers, 'ratelimitbysize-remaining', 'ratelimitbysize-query-cost')
  const remaining = Math.min(
    numberIn(headerOf(headers, 'x-ratelimit-remaining-req-minute')) ?? Infinity,
    callsLeft(headers, 'x-ratelimit-remaining-tokens-minute', 'x-ratelimit-tokens-query-cost'),
    bySize
  )
  // The time is that of the window by size, and tells nothing about others.
  return { remaining, resetMs: bySize === 0 ? resetMs(headers) : undefined }
}

/** How often a call as expensive as this one could be repeated. */
function callsLeft (headers: ResponseHeaders, remaining: string, cost: string): number {
  const tokens = numberIn(headerOf(headers, remaining))
  return tokens === undefined ? Infinity : Math.floor(tokens / Math.max(1, numberIn(headerOf(headers, cost)) ?? 1))
}

function resetMs (headers: ResponseHeaders): number | undefined {
  const seconds = numberIn(headerOf(headers, 'ratelimitbysize-reset'))
  return seconds === undefined ? undefined : seconds * 1000
}

function numberIn (value: string | undefined): number | undefined {
  return value !== undefined && /^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined
}
