/** Whether every text in a JSON value, names of members included, is free of NUL and lone surrogates. */
export function isCleanText (value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, inner]) => isCleanText(name) && isCleanText(inner))
}
