/** How a kind of failure is told to a client: its HTTP status, its title, and whether the same request may succeed later. */
interface ErrorKind {
  readonly status: number
  readonly title: string
  readonly retryable: boolean
}

/** Every error code of the API. The keys are part of the contract: clients branch on them. */
export const errorKinds = {
  validation_failed: { status: 400, title: 'The request does not match its schema', retryable: false },
  malformed_json: { status: 400, title: 'The body is not JSON', retryable: false },
  unauthenticated: { status: 401, title: 'No valid credential was given', retryable: false },
  quota_exceeded: { status: 402, title: 'The quota is used up', retryable: false },
  forbidden: { status: 403, title: 'The credential does not cover this', retryable: false },
  not_found: { status: 404, title: 'No such resource', retryable: false },
  method_not_allowed: { status: 405, title: 'The resource does not know this method', retryable: false },
  session_busy: { status: 409, title: 'The session is answering another message', retryable: true },
  session_ended: { status: 409, title: 'The session has ended', retryable: false },
  legal_hold: { status: 409, title: 'A legal hold forbids to remove this', retryable: false },
  conflict: { status: 409, title: 'The request contradicts the current state', retryable: false },
  version_mismatch: { status: 412, title: 'The resource has changed since it was read', retryable: false },
  payload_too_large: { status: 413, title: 'The body is too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'The body is of an unsupported type', retryable: false },
  idempotency_conflict: { status: 422, title: 'The idempotency key was used with another body', retryable: false },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true },
  internal: { status: 500, title: 'Something went wrong here', retryable: false },
  upstream_failed: { status: 502, title: 'An upstream service failed', retryable: true },
  upstream_rejected: { status: 502, title: 'The model refused the request', retryable: false },
  overloaded: { status: 503, title: 'The server is overloaded', retryable: true },
  store_unavailable: { status: 503, title: 'The store is away', retryable: true },
  upstream_rate_limited: { status: 503, title: 'The model is over its rate limit', retryable: true },
  upstream_unavailable: { status: 503, title: 'The model is away', retryable: true },
  upstream_timeout: { status: 504, title: 'The model took too long', retryable: true }
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof errorKinds

export interface ErrorOptions {
  /** What happened, for the client's eyes: no secret, no text of another party. */
  detail?: string
  /** Response headers that belong to the failure, such as `retry-after`. */
  headers?: Record<string, string>
  /** Further members of the problem document, such as `errors` or the messages of a failed turn. */
  members?: Record<string, unknown>
  /** The failure underneath, for the log only. */
  cause?: unknown
}

/** A failure with a code of the catalogue. Everything else that is thrown is a bug and is told as `internal`. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ErrorCode
  readonly headers: Record<string, string>
  readonly members: Record<string, unknown>

  constructor (code: ErrorCode, { detail, headers = {}, members = {}, cause }: ErrorOptions = {}) {
    super(detail ?? errorKinds[code].title, { cause })
    this.code = code
    this.headers = headers
    this.members = members
  }

  get kind (): ErrorKind {
    return errorKinds[this.code]
  }
}
