import { errors } from 'undici'
import { ApiError, type ErrorCode } from '../../../errors.ts'
import { type ResponseHeaders } from '../http/http-call.ts'
import { isRecord } from './json-record.ts'
import { readWait } from './rate-limits.ts'

// A client that waits longer has better ways to learn that the model is back.
const MAX_RETRY_AFTER_SECONDS = 60

/** The failure that an answer with any status but 2xx stands for. `now` is in milliseconds since 1970. */
export function failureOfStatus (status: number, headers: ResponseHeaders, now: number): ApiError {
  const code = codeOfStatus(status)
  const wait = readWait(headers, now)
  const waits = code === 'upstream_rate_limited' || code === 'upstream_unavailable'
  return new ApiError(code, {
    detail: detailOfStatus(status),
    ...(waits && wait !== undefined && { headers: { 'retry-after': String(retryAfterSeconds(wait)) } })
  })
}

/** The failure that an error within a good answer stands for, when the error names a status. */
export function failureNamedIn (answer: Record<string, unknown>): ApiError | undefined {
  const { code, status, raw_status_code: raw } = isRecord(answer.error) ? answer.error : answer
  const named = [status, raw, code].map(Number).find((number) => number >= 400 && number <= 599)
  return named === undefined ? undefined : failureOfStatus(named, {}, 0)
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

/** From 1 to 60. */
function retryAfterSeconds (ms: number): number {
  return Math.min(Math.max(Math.ceil(ms / 1000), 1), MAX_RETRY_AFTER_SECONDS)
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
