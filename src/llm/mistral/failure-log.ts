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
  /** What the model sent; the first 500 bytes of it are logged. */
  readonly body: string
}

const MAX_LOGGED_BYTES = 500

/** Makes a function that logs a failed call with what its operator needs to ask the model's provider about it. */
export function createFailureLog (logger: WarnLogger, apiKey: string): (facts: FailureFacts) => void {
  // A server may repeat the key in its answer.
  const excerpt = (text: string): string => cut(text.replaceAll(apiKey, '[key]'))
  return ({ error, head, body }) => {
    const { message, ...kind } = describeErrorBody(body)
    logger.warn({
      code: error.code,
      detail: error.message,
      status: head?.status,
      correlationId: head && headerOf(head.headers, 'mistral-correlation-id'),
      kongRequestId: head && headerOf(head.headers, 'x-kong-request-id'),
      upstream: message === undefined ? kind : { ...kind, message: excerpt(message) },
      body: excerpt(body),
      cause: error.cause instanceof Error ? excerpt(error.cause.message) : undefined
    }, 'the model failed')
  }
}

function cut (text: string): string {
  // `stream` leaves out a character that the cut has split.
  return new TextDecoder().decode(Buffer.from(text).subarray(0, MAX_LOGGED_BYTES), { stream: true })
}
