import { Binary, BSONRegExp, BSONSymbol, Code, Decimal128, Long, ObjectId, Timestamp } from 'bson'
import { encodeValue } from '../storage/key-encoding.ts'
import { isNumeric, toNumber, typeName, type Document } from './values.ts'

/** MongoDB's comparison order of types; equal ranks are compared by value. */
const RANKS: Record<string, number> = {
  minKey: 1,
  missing: 5,
  null: 5,
  int: 10,
  long: 10,
  double: 10,
  decimal: 10,
  string: 15,
  symbol: 15,
  object: 20,
  array: 25,
  binData: 30,
  objectId: 35,
  bool: 40,
  date: 45,
  timestamp: 47,
  regex: 50,
  javascript: 60,
  maxKey: 127
}

/** The rank of a value's type in MongoDB's comparison order. */
export function typeRank (value: unknown): number {
  return RANKS[typeName(value)] ?? 20
}

/** MongoDB's order of any two BSON values: negative, zero or positive. A missing value equals null. */
export function compareValues (a: unknown, b: unknown): number {
  if (typeof a === 'number' && typeof b === 'number') return compareNumbers(a, b)
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b)
  const rank = typeRank(a)
  const difference = rank - typeRank(b)
  if (difference !== 0) return difference
  return compareSameType(rank, a, b)
}

function compareSameType (rank: number, a: unknown, b: unknown): number {
  if (isNumeric(a) && isNumeric(b)) return compareNumeric(a, b)
  if (rank === 15) return compareStrings(stringOf(a), stringOf(b))
  if (Array.isArray(a) && Array.isArray(b)) return compareArrays(a, b)
  if (a instanceof Date && b instanceof Date) return a.getTime() - b.getTime()
  if (a instanceof ObjectId && b instanceof ObjectId) return Buffer.compare(a.id, b.id)
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b)
  if (a instanceof Timestamp && b instanceof Timestamp) return a.compare(b)
  if (a instanceof Binary && b instanceof Binary) return compareBinary(a, b)
  if (a instanceof BSONRegExp && b instanceof BSONRegExp) {
    return compareStrings(a.pattern, b.pattern) || compareStrings(a.options, b.options)
  }
  if (a instanceof Code && b instanceof Code) return compareStrings(a.code, b.code)
  return rank === 20 ? compareDocuments(a as Document, b as Document) : 0
}

function stringOf (value: unknown): string {
  return value instanceof BSONSymbol ? value.value : value as string
}

/** NaN is the smallest number and equals itself. */
function compareNumbers (a: number, b: number): number {
  if (a === b) return 0
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : -1
  return Number.isNaN(b) || a > b ? 1 : -1
}

function compareNumeric (a: Parameters<typeof toNumber>[0], b: Parameters<typeof toNumber>[0]): number {
  const exact = a instanceof Long || b instanceof Long || a instanceof Decimal128 || b instanceof Decimal128
  if (!exact) return compareNumbers(toNumber(a), toNumber(b))
  // The key encoding orders all four number types exactly; there is no second implementation to disagree with it.
  return Buffer.compare(encodeValue(a), encodeValue(b))
}

/** UTF-8 order, which is code point order and differs from JS order beyond the basic plane. */
export function compareStrings (a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const surrogates = x >= 0xd800 && y >= 0xd800
    return surrogates ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : x - y
  }
  return a.length - b.length
}

function compareBinary (a: Binary, b: Binary): number {
  const x = a.value()
  const y = b.value()
  return x.length - y.length || a.sub_type - b.sub_type || Buffer.compare(x, y)
}

function compareArrays (a: unknown[], b: unknown[]): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = compareValues(a[i], b[i])
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Documents compare field by field: type, then name, then value; a prefix is smaller. */
function compareDocuments (a: Document, b: Document): number {
  const keysA = Object.keys(a)
  const keysB = Object.keys(b)
  const length = Math.min(keysA.length, keysB.length)
  for (let i = 0; i < length; i++) {
    const keyA = keysA[i] ?? ''
    const keyB = keysB[i] ?? ''
    const difference = typeRank(a[keyA]) - typeRank(b[keyB]) || compareStrings(keyA, keyB) ||
      compareValues(a[keyA], b[keyB])
    if (difference !== 0) return difference
  }
  return keysA.length - keysB.length
}

/** Whether two values are equal in MongoDB's sense: 1, 1.0 and Long 1 are. */
export function valuesEqual (a: unknown, b: unknown): boolean {
  return compareValues(a, b) === 0
}
