import { type Problem } from './generated/types.gen.js'

/** After these, the same request may succeed. */
const passing = [429, 502, 503, 504]

/** What is told of it besides the message. */
type Failure = Omit<ParleyError, keyof Error>

/** A request that failed, as data. */
export class ParleyError extends Error {
  override readonly name = 'ParleyError'
  /** The kind of failure, such as `not_found`; `connection_failed` where there was no whole answer. Open to growth. */
  readonly code: string
  /** Whether the same request may succeed later. */
  readonly retryable: boolean
  /** The status of the answer, where there was one. */
  readonly status?: number
  /** Seconds to wait before the request is tried again, where the answer says so. */
  readonly retryAfter?: number
  /** The whole problem document, with `requestId`, and `errors` for `validation_failed`. */
  readonly problem?: Problem
  /** The body of an answer that is no problem document: of a proxy, or of the operations for clients of OpenAI. */
  readonly body?: unknown

  constructor (message: string, failure: Failure, options?: ErrorOptions) {
    super(message, options)
    this.code = failure.code
    this.retryable = failure.retryable
    this.status = failure.status
    this.retryAfter = failure.retryAfter
    this.problem = failure.problem
    this.body = failure.body
  }
}

const isProblem = (body: unknown): body is Problem =>
  typeof body === 'object' && body !== null && 'code' in body && typeof body.code === 'string' && 'retryable' in body

/** `retry-after` is a count of seconds or a date. */
function secondsOf (retryAfter: string | null): number | undefined {
  if (retryAfter === null) return undefined
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds)
}

/** An answer that is a failure. */
export function failureOf (response: Response, body: unknown): ParleyError {
  const { status, headers } = response
  const common = { status, retryAfter: secondsOf(headers.get('retry-after')) }
  if (isProblem(body)) {
    return new ParleyError(`${body.code}: ${body.detail}`, { ...common, code: body.code, retryable: body.retryable, problem: body })
  }
  return new ParleyError(`The answer is ${status} without a problem document.`, {
    ...common, code: `http_${status}`, retryable: passing.includes(status), body
  })
}

/** No answer, or one that broke off. */
export function connectionFailure (cause: unknown, message = 'There was no whole answer.'): ParleyError {
  return new ParleyError(message, { code: 'connection_failed', retryable: true }, { cause })
}
