import { BSONRegExp, MaxKey, MinKey } from 'bson'
import { KeyType, boundPrefix, encodeValue, inverted, keyType, successor } from '../storage/key-encoding.ts'
import { isNaNValue } from './match-operators.ts'
import { literalPrefix } from './regex.ts'
import { isDocument } from '../values/values.ts'

/** A stretch of one field's encodings: `low` inclusive, `high` exclusive (undefined: no end). */
export interface Interval {
  low: Buffer
  high: Buffer | undefined
  /** Exactly one value. */
  point: boolean
}

/** The values of a field that can satisfy a condition. `exact`: they all do, no look at the document is needed. */
export interface FieldBounds {
  intervals: Interval[]
  exact: boolean
}

/** All values there are. */
export const EVERYTHING: Interval = { low: Buffer.alloc(0), high: undefined, point: false }

const LOWEST_NUMBER = encodeValue(-Infinity)

function point (value: unknown): Interval {
  const low = encodeValue(value)
  return { low, high: successor(low), point: true }
}

function ofType (type: number): Interval {
  return { low: Buffer.from([type]), high: Buffer.from([type + 1]), point: false }
}

/** The bounds of `{field: {operator: operand}}`; undefined when an index cannot narrow it. */
export function boundsOf (operator: string, operand: unknown, options?: unknown): FieldBounds | undefined {
  switch (operator) {
    case '$eq': return equality(operand)
    case '$in': return Array.isArray(operand) ? membership(operand) : undefined
    case '$all': return Array.isArray(operand) && operand.length > 0 ? inexact(equality(operand[0])) : undefined
    case '$gt': case '$gte': case '$lt': case '$lte': return range(operator, operand)
    case '$regex':
      if (operand instanceof BSONRegExp) {
        return pattern(operand.pattern, typeof options === 'string' ? options : operand.options)
      }
      return typeof operand === 'string' ? pattern(operand, typeof options === 'string' ? options : '') : undefined
  }
  return undefined
}

function inexact (bounds: FieldBounds | undefined): FieldBounds | undefined {
  return bounds === undefined ? undefined : { ...bounds, exact: false }
}

/** The bounds of `{field: value}`. */
export function equality (value: unknown): FieldBounds | undefined {
  if (value instanceof BSONRegExp) return pattern(value.pattern, value.options)
  // An index holds an array's elements, not the array.
  if (Array.isArray(value)) return undefined
  if (isDocument(value) && Object.keys(value).length === 1 && '$elemMatch' in value) return undefined
  // Null stands for missing too, and for what paths through arrays do not reach.
  return { intervals: [point(value)], exact: value !== null && value !== undefined }
}

function membership (values: unknown[]): FieldBounds | undefined {
  const all = values.map(equality)
  if (all.some((bounds) => bounds === undefined)) return undefined
  const each = all.filter((bounds) => bounds !== undefined)
  return { intervals: union(each.flatMap((bounds) => bounds.intervals)), exact: each.every((bounds) => bounds.exact) }
}

/** Text with the pattern's literal start, and the regular expressions stored as values. */
function pattern (source: string, options: string): FieldBounds {
  const prefix = literalPrefix(source, options)
  // Without its two closing zero bytes an encoded text is a prefix of every longer text's encoding.
  const low = encodeValue(prefix).subarray(0, -2)
  const text = prefix === '' ? ofType(KeyType.string) : { low, high: successor(low), point: false }
  return { intervals: [text, ofType(KeyType.regex)], exact: false }
}

/** Comparisons look at values of the operand's type only. */
function range (operator: string, operand: unknown): FieldBounds | undefined {
  const type = keyType(operand)
  if (Array.isArray(operand) || type === KeyType.null || operand instanceof MinKey || operand instanceof MaxKey) {
    return undefined
  }
  if (isNaNValue(operand)) {
    return operator === '$gte' || operator === '$lte' ? { intervals: [point(operand)], exact: true } : undefined
  }
  const bracket = ofType(type)
  const { low, high } = point(operand)
  switch (operator) {
    case '$gt': return interval(high ?? bracket.low, bracket.high)
    case '$gte': return interval(low, bracket.high)
    case '$lt': return interval(lowest(type, bracket), low)
    default: return interval(lowest(type, bracket), high)
  }
}

/** NaN sorts below every number and satisfies no comparison. */
function lowest (type: number, bracket: Interval): Buffer {
  return type === KeyType.number ? LOWEST_NUMBER : bracket.low
}

function interval (low: Buffer, high: Buffer | undefined): FieldBounds {
  return { intervals: [{ low, high, point: false }], exact: true }
}

/** The intervals sorted, overlapping and touching ones joined. */
export function union (intervals: Interval[]): Interval[] {
  const sorted = [...intervals].sort((a, b) => Buffer.compare(a.low, b.low))
  const joined: Interval[] = []
  for (const next of sorted) {
    const last = joined.at(-1)
    // Equal points join; neighbours that are both points stay, so that they still count as equalities.
    const sameStart = last !== undefined && last.low.equals(next.low) && last.point && next.point
    if (last === undefined || (!sameStart && !touches(last, next))) joined.push(next)
    else if (!sameStart) joined[joined.length - 1] = { low: last.low, high: larger(last.high, next.high), point: false }
  }
  return joined
}

function touches (a: Interval, b: Interval): boolean {
  if (a.high === undefined) return true
  const order = Buffer.compare(b.low, a.high)
  return order < 0 || (order === 0 && !(a.point && b.point))
}

function larger (a: Buffer | undefined, b: Buffer | undefined): Buffer | undefined {
  if (a === undefined || b === undefined) return undefined
  return Buffer.compare(a, b) >= 0 ? a : b
}

/** The values in both. */
export function intersection (a: Interval[], b: Interval[]): Interval[] {
  return a.flatMap((x) => b.flatMap((y) => {
    const low = Buffer.compare(x.low, y.low) >= 0 ? x.low : y.low
    const high = x.high === undefined ? y.high : y.high === undefined ? x.high : smaller(x.high, y.high)
    const isEmpty = high !== undefined && Buffer.compare(low, high) >= 0
    return isEmpty ? [] : [{ low, high, point: x.point || y.point }]
  }))
}

function smaller (a: Buffer, b: Buffer): Buffer {
  return Buffer.compare(a, b) <= 0 ? a : b
}

/** A range of index keys: `start` inclusive, `end` exclusive; undefined: to the end of the index. */
export interface EncodedRange {
  start: Buffer
  end: Buffer | undefined
}

/** The key ranges of intervals for each leading field, in index order. `cut`: the index has keys that were cut. */
export function keyRanges (fields: Interval[][], directions: readonly number[], cut: boolean): EncodedRange[] {
  let ranges: EncodedRange[] = [{ start: Buffer.alloc(0), end: undefined }]
  fields.forEach((intervals, i) => {
    const placed = directions[i] === -1 ? intervals.map(descending).reverse() : intervals
    ranges = ranges.flatMap(({ start }) => placed.map(({ low, high }) => ({
      start: Buffer.concat([start, low]),
      end: high === undefined ? successor(start) : Buffer.concat([start, high])
    })))
  })
  return cut ? ranges.map(widened) : ranges
}

/** For inverted bytes a half-open stretch [low, high) is everything after high's inversion, up to and with low's. */
function descending ({ low, high, point }: Interval): Interval {
  const start = point ? inverted(low) : high === undefined ? undefined : successor(inverted(high))
  return { low: start ?? Buffer.alloc(0), high: low.length === 0 ? undefined : successor(inverted(low)), point }
}

/** A cut key keeps only its start, so the bounds are cut too. */
function widened ({ start, end }: EncodedRange): EncodedRange {
  const upper = end === undefined ? undefined : boundPrefix(end)
  return { start: boundPrefix(start), end: upper === undefined || upper === end ? end : successor(upper) }
}
