import { type ApiError } from '../../errors.ts'
import { describeErrorBody } from './answer/error-body.ts'
import { type ResponseHeaders, headerOf } from './http/http-call.ts'

/** The part of a logger that this provider needs. */
export interface WarnLogger {
  warn (facts: object, message: string): void
}

export interface FailureFacts {
  readonly error: ApiError
  /** Of the answer, if there was one. */
  readonly head: { readonly status: number, readonly headers: ResponseHeaders } | undefined
  /** What the model sent. */
  readonly body: string
}

/**
 * Logs a failed call with what its operator needs to ask the model's provider about it. What the model says of it in words is
 * left out: servers repeat what they were sent, be it a prompt or a key.
 */
export function logFailure (logger: WarnLogger, { error, head, body }: FailureFacts): void {
  const { type, code, at } = describeErrorBody(body)
  logger.warn({
    code: error.code,
    detail: error.message,
    status: head?.status,
    correlationId: head && headerOf(head.headers, 'mistral-correlation-id'),
    kongRequestId: head && headerOf(head.headers, 'x-kong-request-id'),
    upstream: { type, code, at },
    bytes: Buffer.byteLength(body),
    cause: error.cause instanceof Error ? (error.cause as NodeJS.ErrnoException).code ?? error.cause.name : undefined
  }, 'the model failed')
}
