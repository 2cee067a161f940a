import { createHash } from 'node:crypto'
import { Binary, BSONRegExp, BSONSymbol, Code, Decimal128, Double, ObjectId, Timestamp } from 'bson'
import { decimalParts, exactDifference, type DecimalParts } from '../values/decimal.ts'
import { isLong, type Document } from '../values/values.ts'

/**
 * Order-preserving, self-delimiting bytes of BSON values: comparing two encodings as bytes gives MongoDB's order. The
 * first byte is the type; no encoding is a prefix of another, so fields can be joined and descending ones inverted.
 */
export const KeyType = {
  end: 0x00,
  minKey: 0x04,
  undefined: 0x08,
  null: 0x0a,
  number: 0x14,
  string: 0x1e,
  object: 0x28,
  array: 0x32,
  binary: 0x3c,
  objectId: 0x46,
  boolean: 0x50,
  date: 0x5a,
  timestamp: 0x5e,
  regex: 0x64,
  code: 0x78,
  maxKey: 0xfe
} as const

/** A longer index key is cut here and ends in a hash; LMDB takes 1978 bytes, ids around it need some. */
export const MAX_ENCODED_KEY = 1800
const HASH_BYTES = 16

class ByteWriter {
  private bytes = Buffer.allocUnsafe(128)
  private length = 0

  /** Makes room and answers its position. It may replace `bytes`: call it before touching them. */
  private reserve (count: number): number {
    const start = this.length
    if (start + count > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, start + count))
      this.bytes.copy(larger, 0, 0, start)
      this.bytes = larger
    }
    this.length = start + count
    return start
  }

  byte (value: number): void {
    const at = this.reserve(1)
    this.bytes[at] = value
  }

  uint16 (value: number): void {
    const at = this.reserve(2)
    this.bytes.writeUInt16BE(value, at)
  }

  uint32 (value: number): void {
    const at = this.reserve(4)
    this.bytes.writeUInt32BE(value, at)
  }

  uint64 (value: bigint): void {
    const at = this.reserve(8)
    this.bytes.writeBigUInt64BE(value, at)
  }

  raw (value: Uint8Array): void {
    const at = this.reserve(value.length)
    this.bytes.set(value, at)
  }

  /** UTF-8 with 0x00 escaped as 0x00 0xff, ended by 0x00 0x00, so that a prefix sorts first. */
  text (value: string): void {
    const utf8 = Buffer.from(value)
    if (!utf8.includes(0)) {
      this.raw(utf8)
    } else {
      for (const byte of utf8) {
        this.byte(byte)
        if (byte === 0) this.byte(0xff)
      }
    }
    this.uint16(0)
  }

  /** A double so that byte order is numeric order; -0 equals 0. */
  double (value: number): void {
    const at = this.reserve(8)
    this.bytes.writeDoubleBE(value === 0 ? 0 : value, at)
    const negative = ((this.bytes[at] ?? 0) & 0x80) !== 0
    if (negative) this.invert(at)
    else this.bytes[at] = (this.bytes[at] ?? 0) | 0x80
  }

  invert (from: number): void {
    for (let i = from; i < this.length; i++) this.bytes[i] = ~(this.bytes[i] ?? 0) & 0xff
  }

  get position (): number {
    return this.length
  }

  finish (): Buffer {
    return this.bytes.subarray(0, this.length)
  }
}

/** What an empty array leaves in an index on it; sorts before null as BSON's undefined does. */
export const EMPTY_ARRAY = Symbol('empty array')

/** The type byte a value's encoding starts with. */
export function keyType (value: unknown): number {
  switch (typeof value) {
    case 'undefined': return KeyType.null
    case 'symbol': return KeyType.undefined
    case 'number': return KeyType.number
    case 'string': return KeyType.string
    case 'boolean': return KeyType.boolean
  }
  if (value === null) return KeyType.null
  if (Array.isArray(value)) return KeyType.array
  if (value instanceof ObjectId) return KeyType.objectId
  if (value instanceof Date) return KeyType.date
  if (value instanceof Timestamp) return KeyType.timestamp
  if (value instanceof Double || isLong(value) || value instanceof Decimal128) return KeyType.number
  if (value instanceof Binary) return KeyType.binary
  return rareKeyType(value)
}

function rareKeyType (value: unknown): number {
  if (value instanceof BSONRegExp) return KeyType.regex
  if (value instanceof BSONSymbol) return KeyType.string
  if (value instanceof Code) return KeyType.code
  const bsontype = (value as { _bsontype?: unknown })._bsontype
  if (bsontype === 'MinKey') return KeyType.minKey
  return bsontype === 'MaxKey' ? KeyType.maxKey : KeyType.object
}

/** The encoding of one value. */
export function encodeValue (value: unknown): Buffer {
  const writer = new ByteWriter()
  writeValue(writer, value)
  return writer.finish()
}

/** An index key: its values' encodings joined, those of descending fields inverted. */
export function encodeKey (values: readonly unknown[], directions: readonly number[]): Buffer {
  const writer = new ByteWriter()
  values.forEach((value, i) => {
    const start = writer.position
    writeValue(writer, value)
    if (directions[i] === -1) writer.invert(start)
  })
  return writer.finish()
}

/** Whether the encoded key is too long for the store. */
export function isTooLong (key: Uint8Array): boolean {
  return key.length > MAX_ENCODED_KEY
}

/** A key that fits the store: a long one is its start and a hash of the whole. */
export function storedKey (key: Buffer): Buffer {
  if (!isTooLong(key)) return key
  const hash = createHash('sha256').update(key).digest().subarray(0, HASH_BYTES)
  return Buffer.concat([key.subarray(0, MAX_ENCODED_KEY - HASH_BYTES), hash])
}

/** The bound for a key that may have been cut: its start, which the cut key shares. */
export function boundPrefix (key: Buffer): Buffer {
  return key.length > MAX_ENCODED_KEY - HASH_BYTES ? key.subarray(0, MAX_ENCODED_KEY - HASH_BYTES) : key
}

/** The smallest byte string above every one that starts with `prefix`; undefined when there is none. */
export function successor (prefix: Buffer): Buffer | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return undefined
  const next = Buffer.from(prefix.subarray(0, length))
  next[length - 1] = (next[length - 1] ?? 0) + 1
  return next
}

/** Every byte inverted: the encoding of a descending field. */
export function inverted (bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte) => ~byte & 0xff))
}

function writeValue (writer: ByteWriter, value: unknown): void {
  const type = keyType(value)
  writer.byte(type)
  writePayload(writer, type, value)
}

function writePayload (writer: ByteWriter, type: number, value: unknown): void {
  switch (type) {
    case KeyType.number: return writeNumber(writer, value)
    case KeyType.string: return writer.text(value instanceof BSONSymbol ? value.value : value as string)
    case KeyType.object: return writeDocument(writer, value as Document)
    case KeyType.array: return writeArray(writer, value as unknown[])
    case KeyType.binary: return writeBinary(writer, value as Binary)
    case KeyType.objectId: return writer.raw((value as ObjectId).id)
    case KeyType.boolean: return writer.byte(value === true ? 1 : 0)
    case KeyType.date: return writer.double((value as Date).getTime())
    case KeyType.timestamp: return writer.uint64((value as Timestamp).toBigInt())
    case KeyType.regex: return writeRegExp(writer, value as BSONRegExp)
    case KeyType.code: return writer.text((value as Code).code)
  }
}

function writeRegExp (writer: ByteWriter, value: BSONRegExp): void {
  writer.text(value.pattern)
  writer.text(value.options)
}

function writeBinary (writer: ByteWriter, value: Binary): void {
  const bytes = value.value()
  writer.uint32(bytes.length)
  writer.byte(value.sub_type)
  writer.raw(bytes)
}

function writeArray (writer: ByteWriter, values: unknown[]): void {
  for (const value of values) writeValue(writer, value)
  writer.byte(KeyType.end)
}

/** Documents compare field by field: type, then name, then value. */
function writeDocument (writer: ByteWriter, document: Document): void {
  for (const key of Object.keys(document)) {
    const value = document[key]
    const type = keyType(value)
    writer.byte(type)
    writer.text(key)
    writePayload(writer, type, value)
  }
  writer.byte(KeyType.end)
}

const REMAINDER = { negative: 0x7f, none: 0x80, positive: 0x81 } as const

/**
 * The nearest double, then what is left of the value. Rounding is monotone, so the doubles order different values, and
 * the remainder orders those that share a double: all four number types compare by their exact value.
 */
function writeNumber (writer: ByteWriter, value: unknown): void {
  if (typeof value === 'number') return writeDouble(writer, value)
  if (value instanceof Double) return writeDouble(writer, value.value)
  const text = String(value)
  const double = finiteDouble(Number(text), text)
  if (Number.isNaN(double)) return writeDouble(writer, double)
  writer.double(double)
  writeRemainder(writer, exactDifference(decimalParts(text), double))
}

function writeDouble (writer: ByteWriter, value: number): void {
  // NaN sorts before -Infinity: eight zero bytes are smaller than any encoded double.
  if (Number.isNaN(value)) writer.uint64(0n)
  else writer.double(value)
  writer.byte(REMAINDER.none)
}

/** A decimal beyond the doubles keeps the largest double and a remainder; only a true infinity is one. */
function finiteDouble (double: number, text: string): number {
  if (Number.isFinite(double) || Number.isNaN(double) || text.includes('Inf')) return double
  return double > 0 ? Number.MAX_VALUE : -Number.MAX_VALUE
}

function writeRemainder (writer: ByteWriter, remainder: DecimalParts | undefined): void {
  if (remainder === undefined || remainder.digits === '') return writer.byte(REMAINDER.none)
  writer.byte(remainder.negative ? REMAINDER.negative : REMAINDER.positive)
  const start = writer.position
  writer.uint16(remainder.exponent + 0x8000)
  writer.text(remainder.digits)
  if (remainder.negative) writer.invert(start)
}
