import { ApiError } from '../../../errors.ts'

/** True for a JSON object: not null, not a list. */
export function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What an answer says; nothing for JSON that is no object. Throws `upstream_failed` for what is no JSON. */
export function parseRecord (json: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new ApiError('upstream_failed', { detail: 'The model sent something that is not JSON.', cause })
  }
  return isRecord(value) ? value : {}
}
