/**
 * Whether a JSON value can be stored and comes back as it was: every text, names of members included, is free of NUL and
 * lone surrogates; every number is finite (1e400 reads as infinity, which JSON cannot say); and no member has the name by
 * which the driver knows its own types.
 */
export function isStorable (value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, inner]) => name !== '_bsontype' && isStorable(name) && isStorable(inner))
}
