import { createHash } from 'node:crypto'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** JSON with the keys of every object in order, so that equal requests have equal text. Throws when nested too deep. */
export function canonical (value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
      : inner) ?? ''
}

/** So many hexadecimal digits of the text's SHA-256, at most 64. */
export function hex (text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits)
}

/** Nine letters and digits: the only form in which the API takes an id of a tool call. */
export function callId (text: string): string {
  const bytes = createHash('sha256').update(text).digest().subarray(0, 9)
  return [...bytes].map((byte) => LETTERS[byte % LETTERS.length]).join('')
}
