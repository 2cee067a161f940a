import { Type } from './type.ts'

// With the `u` flag, under which these run, the surrogate range matches lone surrogates only.
const UNSTORABLE = '\\u0000\\uD800-\\uDFFF'
const CLEAN = `^[^${UNSTORABLE}]*$`
const CLEAN_NOT_BLANK = `^\\s*[^\\s${UNSTORABLE}][^${UNSTORABLE}]*$`

/** Text without NUL and lone surrogates; lengths count code points. */
export function Text (options: { minLength?: number, maxLength: number, description: string }) {
  return Type.String({ ...options, pattern: CLEAN })
}

/** Text with at least one character that is not white space. */
export function NonBlankText (options: { maxLength: number, description: string }) {
  return Type.String({ minLength: 1, ...options, pattern: CLEAN_NOT_BLANK })
}

export const Id = Type.String({ pattern: '^[0-9a-f]{24}$', description: 'Identifier: 24 lower-case hexadecimal characters.' })

export const Timestamp = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, with milliseconds.' })

/** The keyword that `Metadata` carries; the validator of bodies knows it. */
export const METADATA_KEYWORD = 'x-maxJsonBytes'

// Not a record: the pattern that a record's names would have to match leaves out names with a line break.
const AnyObject = (options: Record<string, unknown>) =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true, ...options })

export const Metadata = AnyObject({
  [METADATA_KEYWORD]: 4096,
  description: 'Your own data: any JSON object of at most 4 KiB when written as JSON. Texts in it hold no NUL and no lone surrogate.'
})

/** Metadata as it was stored. */
export const StoredMetadata = AnyObject({ description: 'Your own data.' })

export const UserId = NonBlankText({ maxLength: 200, description: 'The end user, as your own system names them.' })

export const Channel = NonBlankText({ maxLength: 60, description: 'Where the conversation takes place, such as `web` or `email`.' })
