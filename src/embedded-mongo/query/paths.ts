import { isArrayIndex } from '../storage/index-keys.ts'
import { getField, isDocument } from '../values/values.ts'

/** The values a path leads to, arrays opened on the way and at its end; nothing for missing fields. */
export function leafValues (value: unknown, parts: readonly string[]): unknown[] {
  const [name, ...rest] = parts
  if (name === undefined) return Array.isArray(value) ? value : value === undefined ? [] : [value]
  if (isDocument(value)) return leafValues(getField(value, name), rest)
  if (!Array.isArray(value)) return []
  if (isArrayIndex(name)) return leafValues(value[Number(name)], rest)
  return value.flatMap((element) => isDocument(element) ? leafValues(element, parts) : [])
}
