import { errors } from 'undici'
import { ApiError, type ErrorCode } from '../../../errors.ts'
import { type ResponseHeaders, headerOf } from '../http/http-call.ts'

// A client that waits longer has better ways to learn that the model is back.
const MAX_RETRY_AFTER_SECONDS = 60

/** The failure that an answer with any status but 2xx stands for. `now` is in milliseconds since 1970. */
export function failureOfStatus (status: number, headers: ResponseHeaders, now: number): ApiError {
  const code = codeOfStatus(status)
  const seconds = retryAfterSeconds(headerOf(headers, 'retry-after'), now)
  const waits = code === 'upstream_rate_limited' || code === 'upstream_unavailable'
  return new ApiError(code, {
    detail: detailOfStatus(status),
    ...(waits && seconds !== undefined && { headers: { 'retry-after': String(seconds) } })
  })
}

function codeOfStatus (status: number): ErrorCode {
  if (status === 429) return 'upstream_rate_limited'
  if (status === 503) return 'upstream_unavailable'
  if (status === 408) return 'upstream_timeout'
  // A redirect is a wrong base URL: the same request will meet it again.
  return status < 500 ? 'upstream_rejected' : 'upstream_failed'
}

function detailOfStatus (status: number): string {
  if (status === 429) return 'The model takes no more requests for now.'
  if (status === 503) return 'The model is not available for now.'
  if (status === 401 || status === 403) return 'The model refused this server\'s credentials or their permissions.'
  if (status === 404) return 'The model, or the address it was asked at, does not exist.'
  return `The model answered with status ${status}.`
}

/** Reads `retry-after`, in seconds or as a date, into 1..60 seconds; nothing when it is absent or unreadable. */
function retryAfterSeconds (value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined
  const seconds = /^\d+(\.\d+)?$/.test(value) ? Number(value) : (Date.parse(value) - now) / 1000
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(Math.ceil(seconds), 1), MAX_RETRY_AFTER_SECONDS)
}

/** The failure of a call that broke before the head of an answer was read. */
export function failureBeforeHead (cause: Error): ApiError {
  if (cause instanceof errors.ConnectTimeoutError || ('code' in cause && cause.code === 'ETIMEDOUT')) {
    return new ApiError('upstream_timeout', { detail: 'The model could not be reached in time.', cause })
  }
  if (cause instanceof errors.HTTPParserError || cause instanceof errors.HeadersOverflowError) {
    return new ApiError('upstream_failed', { detail: 'The model sent something that is not HTTP.', cause })
  }
  return new ApiError('upstream_unavailable', { detail: 'The model could not be reached.', cause })
}

/** The failure of a call that broke within the body of an answer. */
export function failureInBody (cause: Error): ApiError {
  return new ApiError('upstream_failed', { detail: 'The connection to the model broke off within its answer.', cause })
}
