import { OpenWord } from './type.ts'

/** The catalogue of src/errors.ts. */
export const errorCodes = [
  'validation_failed', 'malformed_json', 'unauthenticated', 'quota_exceeded', 'forbidden', 'not_found', 'method_not_allowed', 'session_busy',
  'session_ended', 'legal_hold', 'conflict', 'version_mismatch', 'payload_too_large', 'unsupported_media_type', 'idempotency_conflict', 'rate_limited',
  'internal', 'upstream_failed', 'upstream_rejected', 'overloaded', 'store_unavailable', 'upstream_rate_limited', 'upstream_unavailable',
  'upstream_timeout'
] as const

export const ErrorCode = OpenWord(errorCodes, {
  description: 'The kind of problem for programs, such as `not_found`. Treat an unknown code by the status, where there is one.'
})
