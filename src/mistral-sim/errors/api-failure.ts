import { type Problem } from '../validation/problem-text.ts'

/** The forms in which the API and what stands in front of it have been seen to report an error. */
export type BodyShape = 'mistral' | 'detail' | 'wrapped' | 'string' | 'conversation' | 'gateway' | 'notice' |
  'guardrail' | 'html' | 'empty'

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

  constructor (status: number, body: unknown) {
    super(`${status}`)
    this.status = status
    this.body = body
  }
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

function mistralBody (status: number, { message, type, code }: ErrorText): unknown {
  return { object: 'error', message, type, param: null, code, raw_status_code: status }
}

const TEXTS: Record<number, ErrorText> = {
  400: { message: 'Bad request', type: 'invalid_request_error', code: null },
  401: { message: 'Unauthorized', type: 'unauthorized', code: null },
  403: { message: 'Content blocked by guardrail', type: 'guardrail_blocked', code: '3201' },
  404: { message: 'Not Found', type: 'not_found', code: null },
  422: { message: 'Unprocessable', type: 'invalid_request_error', code: null },
  429: { message: 'Requests rate limit exceeded', type: 'rate_limited', code: '1300' },
  503: { message: 'Service tier capacity exceeded for this model.', type: 'service_unavailable', code: '3505' }
}

/** What a status usually says. */
export function usualText (status: number): ErrorText {
  return TEXTS[status] ?? { message: 'Internal server error', type: 'internal_server_error', code: '1000' }
}

/** The body of an error with this status in one of the known forms; undefined: no body at all. */
export function errorBody (shape: BodyShape, status: number, id: string): unknown {
  const text = usualText(status)
  const problem = { type: 'value_error', loc: ['body'], msg: text.message, input: null }
  switch (shape) {
    case 'mistral': return mistralBody(status, text)
    case 'detail':
    case 'wrapped':
    case 'string': return invalidBody([problem], shape).body
    case 'conversation': return { object: 'Error', message: text.message, type: 'invalid_request_error', code: 3001 }
    case 'gateway': return { message: text.message, request_id: id }
    case 'notice': return { detail: text.message }
    case 'guardrail': return { error: { message: text.message, status }, guardrails: { results: [] } }
    case 'html': return `<!DOCTYPE html><html><head><title>${status}</title></head><body>Error ${status}</body></html>`
    case 'empty': return undefined
  }
}
