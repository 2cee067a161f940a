import {
  Binary, BSONRegExp, BSONSymbol, Code, DBRef, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp,
  deserialize, serialize
} from 'bson'
import { CommandError } from '../errors.ts'

/**
 * A BSON document in memory. Number types survive: an int32 is a JS number, so is a double that cannot be taken for an
 * int32; an integral double in the int32 range stays a `Double`, an int64 a `Long`, a decimal a `Decimal128`.
 */
export type Document = Record<string, unknown>

/** Longest document stored, in bytes. */
export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
/** Deepest nesting stored. */
export const MAX_NESTING = 100
const INT32_MIN = -0x80000000
const INT32_MAX = 0x7fffffff

/**
 * Decodes one BSON document without losing number types. Throws CommandError 22 on malformed bytes, 15 on deep nesting.
 */
export function decode (bytes: Uint8Array, maxNesting = MAX_NESTING): Document {
  let document: Document
  try {
    document = deserialize(bytes, { promoteValues: false, promoteLongs: false, bsonRegExp: true })
  } catch (error) {
    throw new CommandError(22, `invalid BSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  unwrapNumbers(document, 1, maxNesting)
  return document
}

function unwrapNumbers (container: Document | unknown[], depth: number, maxNesting: number): void {
  if (depth > maxNesting) throw tooDeep(maxNesting)
  if (Array.isArray(container)) {
    for (let i = 0; i < container.length; i++) container[i] = unwrapped(container[i], depth, maxNesting)
    return
  }
  for (const key of Object.keys(container)) {
    const value = container[key]
    const next = unwrapped(value, depth, maxNesting)
    if (next !== value) setField(container, key, next)
  }
}

function unwrapped (value: unknown, depth: number, maxNesting: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Int32) return value.value
  if (value instanceof Double) return isAmbiguous(value.value) ? value : value.value
  if (value instanceof DBRef) {
    const { $ref, $id, $db, ...fields } = value.toJSON() as unknown as Document
    const document = { $ref, $id, ...($db === undefined || $db === '' ? {} : { $db }), ...fields }
    unwrapNumbers(document, depth + 1, maxNesting)
    return document
  }
  if (isDocument(value) || Array.isArray(value)) unwrapNumbers(value, depth + 1, maxNesting)
  return value
}

/** A double that would be written back as an int32 if it were kept as a bare number. */
function isAmbiguous (value: number): boolean {
  return Number.isInteger(value) && value >= INT32_MIN && value <= INT32_MAX && !Object.is(value, -0)
}

/** Encodes a document. Throws CommandError 10334 above 16 MiB unless another limit (a reply's) is given. */
export function encode (document: Document, limit = MAX_DOCUMENT_BYTES): Uint8Array {
  const bytes = serialized(document)
  if (bytes.length > limit) {
    throw new CommandError(10334, `BSONObj size: ${bytes.length} is invalid. Size must be between 0 and ${limit}`)
  }
  return bytes
}

/** Beyond some size bson's serializer fails with a RangeError of its own. */
function serialized (document: Document): Uint8Array {
  try {
    return serialize(document, { ignoreUndefined: true })
  } catch (error) {
    throw error instanceof RangeError ? new CommandError(10334, 'BSONObj size is invalid: too large') : error
  }
}

/** Encodes a document to be stored: at most 16 MiB and 100 levels deep. */
export function encodeStored (document: Document): Uint8Array {
  checkNesting(document, 1)
  return encode(document)
}

function checkNesting (value: unknown, depth: number): void {
  const isArray = Array.isArray(value)
  if (!isArray && !isDocument(value)) return
  if (depth > MAX_NESTING) throw tooDeep(MAX_NESTING)
  for (const one of isArray ? value : Object.values(value)) checkNesting(one, depth + 1)
}

function tooDeep (levels: number): CommandError {
  return new CommandError(15, `document exceeds the maximum nesting of ${levels} levels`)
}

/** Sets a field, also one called `__proto__`, as an own property. */
export function setField (document: Document, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(document, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    document[key] = value
  }
}

/** An own field's value; undefined when absent. */
export function getField (document: Document, key: string): unknown {
  return Object.hasOwn(document, key) ? document[key] : undefined
}

/** Whether the value is an embedded document (and not an array, date, ObjectId …). */
export function isDocument (value: unknown): value is Document {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** A deep copy: containers are new, scalars are shared (nothing mutates them). */
export function clone<T> (value: T): T {
  if (Array.isArray(value)) return value.map(clone) as T
  if (!isDocument(value)) return value
  const copy: Document = {}
  for (const key of Object.keys(value)) setField(copy, key, clone(value[key]))
  return copy as T
}

/** Whether the value is of one of BSON's four number types. */
export function isNumeric (value: unknown): value is number | Double | Long | Decimal128 {
  return typeof value === 'number' || value instanceof Double || isLong(value) || value instanceof Decimal128
}

/** Whether the value is an int64; bson's Timestamp extends Long and is none. */
export function isLong (value: unknown): value is Long {
  return value instanceof Long && !(value instanceof Timestamp)
}

/** The number as a double; precision beyond 53 bits is lost. */
export function toNumber (value: number | Double | Long | Decimal128): number {
  if (typeof value === 'number') return value
  if (value instanceof Double) return value.value
  return value instanceof Decimal128 ? Number(value.toString()) : value.toNumber()
}

/** Whether the value is stored as an int32. */
export function isInt32 (value: unknown): value is number {
  return typeof value === 'number' && isAmbiguous(value)
}

/** A double in this store's representation. */
export function doubleValue (value: number): number | Double {
  return isAmbiguous(value) ? new Double(value) : value
}

/** An integer as int32 where it fits, else as int64. */
export function integerValue (value: bigint): number | Long {
  return value >= BigInt(INT32_MIN) && value <= BigInt(INT32_MAX) ? Number(value) : Long.fromBigInt(value)
}

/** The number (a count) as int32 or int64, whichever MongoDB would send. */
export function countValue (value: number): number | Long {
  return value > INT32_MAX ? Long.fromNumber(value) : value
}

/** BSON's type names, as $type and error messages use them. */
export function typeName (value: unknown): string {
  switch (typeof value) {
    case 'undefined': return 'missing'
    case 'string': return 'string'
    case 'boolean': return 'bool'
    case 'number': return isAmbiguous(value) ? 'int' : 'double'
  }
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  for (const [constructor, name] of CLASS_NAMES) if (value instanceof constructor) return name
  return 'object'
}

// Timestamp before Long, which it extends.
const CLASS_NAMES: Array<[abstract new (...args: never[]) => unknown, string]> = [
  [ObjectId, 'objectId'], [Date, 'date'], [Double, 'double'], [Timestamp, 'timestamp'], [Long, 'long'],
  [Decimal128, 'decimal'], [Binary, 'binData'], [BSONRegExp, 'regex'], [MinKey, 'minKey'], [MaxKey, 'maxKey'],
  [Code, 'javascript'], [BSONSymbol, 'symbol']
]
