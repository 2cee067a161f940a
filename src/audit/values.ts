const MASK = '***'
// What a value may be named that is worth stealing. Numbers and flags are not: `maxTokens` is a setting.
const SECRET = /secret|passw|passphrase|token|hash|credential|cookie|signature|authorization|verifier|private|(^|[a-z])key$/i
// Names that a secret is told apart by.
const HARMLESS = /(id|prefix|at|type|name|scopes?)$/i
// What was said, and who the end user was, wherever it turns up: it belongs to whom it came from, and goes with them.
const SAID = /^(content|message|messages|reply|text|snippet|comment|brief|title|summary|metadata|userMessage|botMessage|userId)$/
const EMAIL = /^(.).*(@[^@]*)$/s

const MAX_CHARS = 4000
const MAX_BYTES = 65_536

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

function cleaned (value: unknown, name: string, isInSecret: boolean): unknown {
  if (SAID.test(name)) return MASK
  const isSecret = isInSecret || (SECRET.test(name) && !HARMLESS.test(name))
  if (typeof value === 'string') {
    if (isSecret) return MASK
    if (/e-?mail$/i.test(name)) return value.replace(EMAIL, `$1${MASK}$2`)
    return value.length > MAX_CHARS ? `${value.slice(0, MAX_CHARS).toWellFormed()}…` : value
  }
  if (Array.isArray(value)) return value.map((item) => cleaned(item, name, isSecret))
  if (isRecord(value)) return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, cleaned(member, key, isSecret)]))
  return value
}

function written (value: unknown): string | null {
  if (value === undefined || value === null) return null
  const text = JSON.stringify(value)
  return Buffer.byteLength(text) > MAX_BYTES ? JSON.stringify({ tooLarge: true }) : text
}

const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b)

/** What was and what is, as JSON: of two objects only the members that differ; without secrets, and without what was said. */
export function recordedValues (before: unknown, after: unknown): { before: string | null, after: string | null } {
  let [old, fresh] = [before, after]
  if (isRecord(before) && isRecord(after)) {
    const changed = new Set([...Object.keys(before), ...Object.keys(after)].filter((name) => differs(before[name], after[name])))
    const part = (value: Record<string, unknown>) => Object.fromEntries(Object.entries(value).filter(([name]) => changed.has(name)));
    [old, fresh] = [part(before), part(after)]
  }
  return { before: written(cleaned(old, '', false)), after: written(cleaned(fresh, '', false)) }
}
