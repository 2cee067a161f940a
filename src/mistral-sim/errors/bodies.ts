import { invalidBody, mistralBody, type ErrorText } from './api-failure.ts'

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
function usualText (status: number): ErrorText {
  return TEXTS[status] ?? { message: 'Internal server error', type: 'internal_server_error', code: '1000' }
}

interface Said extends ErrorText {
  status: number
  requestId: string
}

const inForm = (form: 'detail' | 'wrapped' | 'string') => ({ message }: Said): unknown =>
  invalidBody([{ type: 'value_error', loc: ['body'], msg: message, input: null }], form).body

/**
 * The forms in which the API, what stands in front of it and servers that speak its protocol have been seen to report an
 * error. A string is HTML, undefined an empty body.
 */
const BODIES = {
  mistral: ({ status, ...text }: Said): unknown => mistralBody(status, text),
  detail: inForm('detail'),
  wrapped: inForm('wrapped'),
  string: inForm('string'),
  conversation: ({ message }: Said): unknown =>
    ({ object: 'Error', message, type: 'invalid_request_error', code: 3001 }),
  conversationDetail: ({ message }: Said): unknown => ({
    object: 'Error',
    message: [message],
    detail: [{ type: 'value_error', loc: ['body'], msg: message, input: null }],
    type: 'invalid_request_error',
    code: 3230
  }),
  gateway: ({ message, requestId }: Said): unknown => ({ message, request_id: requestId }),
  notice: ({ message }: Said): unknown => ({ detail: message }),
  guardrail: ({ message, status }: Said): unknown => ({ error: { message, status }, guardrails: { results: [] } }),
  guardrailError: ({ message, type }: Said): unknown =>
    ({ object: 'Error', message, type, param: null, code: 3201, guardrails: [] }),
  html: ({ status }: Said): unknown =>
    `<!DOCTYPE html><html><head><title>${status}</title></head><body>Error ${status}</body></html>`,
  empty: (): unknown => undefined,
  openai: ({ message, type, status }: Said): unknown => ({ error: { message, type, param: null, code: status } }),
  vllm: ({ message, status }: Said): unknown =>
    ({ object: 'error', message, type: 'BadRequestError', param: null, code: status }),
  openrouter: ({ message, status }: Said): unknown =>
    ({ error: { code: status, message, metadata: { provider_name: 'Sim' } } }),
  lmstudio: ({ message }: Said): unknown => ({ error: message })
}

/** The name of a form. */
export type BodyShape = keyof typeof BODIES

/** The names of all forms. */
export const BODY_SHAPES = Object.keys(BODIES) as BodyShape[]

/** The body of an error with this status in one of the forms; undefined: no body at all. */
export function errorBody (shape: BodyShape, status: number, requestId: string): unknown {
  return BODIES[shape]({ ...usualText(status), status, requestId })
}
