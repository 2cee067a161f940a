import { OpenAiError } from './openai-error.ts'
import { Problem } from './problem.ts'
import { Ref, Type } from './type.ts'

const descriptions = {
  304: 'Not changed since the version in `If-None-Match`.',
  400: 'The request does not match its schema (`validation_failed`) or is not JSON (`malformed_json`).',
  401: 'No valid credential (`unauthenticated`).',
  402: 'Too little is left of a quota (`quota_exceeded`); `quota` says of which.',
  403: 'The credential does not cover this (`forbidden`).',
  404: 'No such resource, or not yours (`not_found`).',
  409: 'The state does not allow it (`session_busy`, `session_ended`, `legal_hold`, `conflict`).',
  412: 'The resource has another version (`version_mismatch`).',
  413: 'The body is too large (`payload_too_large`).',
  415: 'The body is of an unsupported type (`unsupported_media_type`).',
  422: 'The idempotency key was used with another body (`idempotency_conflict`).',
  429: 'Too many requests (`rate_limited`); `retry-after` says when to come back.',
  500: 'A fault of the server (`internal`).',
  502: 'The model or another service failed (`upstream_failed`) or refused (`upstream_rejected`).',
  503: 'Away or overloaded (`store_unavailable`, `overloaded`, `upstream_rate_limited`, `upstream_unavailable`).',
  504: 'The model took too long (`upstream_timeout`).',
  default: 'Another failure.'
} as const

/** The problem responses of an operation, by status. */
export function problems<S extends keyof typeof descriptions> (...statuses: S[]) {
  return Object.fromEntries(statuses.map((status) => [status, {
    description: descriptions[status],
    content: { 'application/problem+json': { schema: Ref(Problem) } }
  }])) as unknown as Record<S, ReturnType<typeof Ref<typeof Problem>>>
}

const openAiDescriptions: Record<keyof typeof descriptions, string> = { ...descriptions, 429: 'Too many requests (`rate_limit_exceeded`), or too little is left of a quota (`insufficient_quota`).' }

/** The failures of an operation for clients of OpenAI, by status. */
export function openAiProblems<S extends keyof typeof descriptions> (...statuses: S[]) {
  return Object.fromEntries(statuses.map((status) => [status, {
    description: openAiDescriptions[status],
    content: { 'application/json': { schema: Ref(OpenAiError) } }
  }])) as unknown as Record<S, ReturnType<typeof Ref<typeof OpenAiError>>>
}

/** What every operation may answer that needs no credential. */
export const open = () => problems(400, 429, 500, 503)

/** What every operation behind a credential may answer. */
export const guarded = () => ({ ...open(), ...problems(401, 403) })

/** A response without a body. */
export function NoBody (description: string) {
  return Type.Unsafe<undefined>({ type: 'null', description })
}
