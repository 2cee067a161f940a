import { type Problem } from '../validation/problem-text.ts'

/** The forms of a 422. */
export type ProblemShape = 'detail' | 'wrapped' | 'string'

/** What an error says, whatever its form. */
export interface ErrorText {
  message: string
  type: string
  code: string | null
}

/** An error reply: thrown by any check, sent as it is. A string body is sent as HTML, everything else as JSON. */
export class ApiFailure extends Error {
  readonly status: number
  readonly body: unknown
  readonly headers: Record<string, string>

  constructor (status: number, body: unknown, headers: Record<string, string> = {}) {
    super(textIn(body) ?? `status ${status}`)
    this.status = status
    this.body = body
    this.headers = headers
  }
}

function textIn (body: unknown): string | undefined {
  const text = typeof body === 'object' && body !== null && 'message' in body ? body.message : undefined
  return typeof text === 'string' ? text : undefined
}

/** A refusal in the API's usual form. `code` is a string of digits, or null as on older messages. */
export function refusal (status: number, message: string, type: string, code: string | null): ApiFailure {
  return new ApiFailure(status, mistralBody(status, { message, type, code }))
}

/** A 400 of the kind that the API answers without a code. */
export function invalidRequest (message: string): ApiFailure {
  return refusal(400, message, 'invalid_request_error', null)
}

/** A body that does not fit its schema. */
export function invalidBody (problems: Problem[], shape: ProblemShape): ApiFailure {
  const detail = { detail: problems }
  switch (shape) {
    case 'detail': return new ApiFailure(422, detail)
    case 'wrapped': return new ApiFailure(422, {
      object: 'error', message: detail, type: 'invalid_request_error', param: null, code: null, raw_status_code: 422
    })
    case 'string': return new ApiFailure(422, {
      object: 'error', message: JSON.stringify(detail), type: 'internal_error_proxy', param: null, code: '1000'
    })
  }
}

/** The API's usual form of an error. */
export function mistralBody (status: number, { message, type, code }: ErrorText): unknown {
  return { object: 'error', message, type, param: null, code, raw_status_code: status }
}
