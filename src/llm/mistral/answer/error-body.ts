import { isRecord } from './json-record.ts'

/** What an error body says of itself, as far as it is JSON. For the log, never for a client. */
export interface ErrorDescription {
  readonly message?: string
  readonly type?: string
  readonly code?: string | number
  /** Where in the request a validator has found something, and what kind of thing. */
  readonly at?: readonly string[]
}

// Deeper than any shape seen: a JSON string, in a member, of an object, in a member.
const MAX_DEPTH = 6

/**
 * Reads an error body of whatever shape: Mistral's own, a gateway's, the validator's list (plain, nested, or as a
 * string of JSON within a string), OpenAI's, or none at all (HTML, nothing).
 */
export function describeErrorBody (body: string): ErrorDescription {
  const root = parseJson(body)
  if (!isRecord(root)) return {}
  const { type, code } = isRecord(root.error) ? root.error : root
  const message = sentence(root, MAX_DEPTH)
  const at = places(root, MAX_DEPTH)
  return {
    ...(message !== '' && { message }),
    ...(typeof type === 'string' && { type }),
    ...((typeof code === 'string' || typeof code === 'number') && { code }),
    ...(at.length > 0 && { at })
  }
}

function sentence (value: unknown, depth: number): string {
  if (depth === 0) return ''
  if (typeof value === 'string') return sentenceOfString(value, depth)
  if (Array.isArray(value)) return value.map((item) => sentence(item, depth - 1)).filter(Boolean).join('; ')
  if (!isRecord(value)) return ''
  const said = sentence(value.message ?? value.detail ?? value.error ?? value.msg, depth - 1)
  return Array.isArray(value.loc) ? `${value.loc.join('.')}: ${said}` : said
}

function places (value: unknown, depth: number): string[] {
  if (depth === 0) return []
  if (typeof value === 'string') {
    const nested = parseJson(value)
    return nested === undefined ? [] : places(nested, depth - 1)
  }
  if (Array.isArray(value)) return value.flatMap((item) => places(item, depth - 1))
  if (!isRecord(value)) return []
  if (Array.isArray(value.loc)) return [`${value.loc.join('.')}: ${typeof value.type === 'string' ? value.type : 'wrong'}`]
  return places(value.message ?? value.detail ?? value.error, depth - 1)
}

function sentenceOfString (text: string, depth: number): string {
  const nested = parseJson(text)
  return isRecord(nested) || Array.isArray(nested) ? sentence(nested, depth - 1) : text
}

function parseJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
