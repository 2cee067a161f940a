import { Binary, BSONRegExp, ObjectId } from 'bson'
import { compareValues, typeRank, valuesEqual } from '../values/compare.ts'
import { CommandError } from '../errors.ts'
import { compileRegExp } from './regex.ts'
import { isDocument, isLong, isNumeric, toNumber, typeName } from '../values/values.ts'

/** A question to the value at the end of a path, arrays unopened; undefined: the field is missing. */
export type Predicate = (value: unknown) => boolean

/** Asks the value, and when it is an array also each element. */
function elements (test: Predicate): Predicate {
  return (value) => test(value) || (Array.isArray(value) && value.some(test))
}

/** Equality as a query means it: a regular expression also matches text. */
export function equals (operand: unknown): Predicate {
  if (operand instanceof BSONRegExp) {
    const regExp = compileRegExp(operand.pattern, operand.options)
    return elements((value) => (typeof value === 'string' && regExp.test(value)) || isSameRegExp(value, operand))
  }
  if (typeof operand === 'string' || typeof operand === 'boolean') return elements((value) => value === operand)
  if (operand === undefined || operand === null) return elements((value) => value === undefined || value === null)
  return elements((value) => valuesEqual(value, operand))
}

function isSameRegExp (value: unknown, operand: BSONRegExp): boolean {
  return value instanceof BSONRegExp && valuesEqual(value, operand)
}

/** Compiles one of the leaf operators. Throws CommandError 2 for an unknown one or a bad operand. */
export function compileOperator (
  name: string,
  operand: unknown,
  siblings: Readonly<Record<string, unknown>>
): Predicate {
  switch (name) {
    case '$eq':
      return operand instanceof BSONRegExp ? elements((value) => isSameRegExp(value, operand)) : equals(operand)
    case '$gt': return comparison(operand, (order) => order > 0, false)
    case '$gte': return comparison(operand, (order) => order >= 0, true)
    case '$lt': return comparison(operand, (order) => order < 0, false)
    case '$lte': return comparison(operand, (order) => order <= 0, true)
    case '$in': return inside(operand)
    case '$regex': return regex(operand, siblings.$options)
    case '$type': return type(operand)
    case '$size': return size(operand)
    case '$mod': return mod(operand)
    case '$bitsAllSet': return bits(name, operand, (value, mask) => (value & mask) === mask)
    case '$bitsAllClear': return bits(name, operand, (value, mask) => (value & mask) === 0n)
    case '$bitsAnySet': return bits(name, operand, (value, mask) => (value & mask) !== 0n)
    case '$bitsAnyClear': return bits(name, operand, (value, mask) => (value & mask) !== mask)
  }
  throw new CommandError(2, `unknown operator: ${name}`)
}

/** Values of the operand's type only; MinKey and MaxKey compare with everything; NaN only with itself. */
function comparison (operand: unknown, accepts: (order: number) => boolean, orEqual: boolean): Predicate {
  if (operand instanceof BSONRegExp) throw new CommandError(2, 'Can\'t have RegEx as arg to predicate over field')
  const rank = typeRank(operand)
  const anyType = rank === 1 || rank === 127
  if (isNaNValue(operand)) return elements((value) => orEqual && isNaNValue(value))
  return elements((value) => {
    if (!anyType && typeRank(value) !== rank) return false
    if (isNaNValue(value)) return anyType
    return accepts(compareValues(value, operand))
  })
}

/** Whether a value is a NaN of any number type. */
export function isNaNValue (value: unknown): boolean {
  return isNumeric(value) && Number.isNaN(toNumber(value))
}

function inside (operand: unknown): Predicate {
  if (!Array.isArray(operand)) throw new CommandError(2, '$in needs an array')
  const strings = new Set<unknown>()
  const ids = new Set<string>()
  const others: Predicate[] = []
  for (const value of operand) {
    if (isDocument(value) && Object.keys(value)[0]?.startsWith('$') === true) {
      throw new CommandError(2, 'cannot nest $ under $in')
    }
    if (typeof value === 'string') strings.add(value)
    else if (value instanceof ObjectId) ids.add(value.toHexString())
    else others.push(equals(value))
  }
  const isListed = elements((value) => value instanceof ObjectId ? ids.has(value.toHexString()) : strings.has(value))
  return (value) => isListed(value) || others.some((test) => test(value))
}

function regex (operand: unknown, options: unknown): Predicate {
  if (options !== undefined && typeof options !== 'string') throw new CommandError(2, '$options has to be a string')
  if (operand instanceof BSONRegExp) {
    const regExp = compileRegExp(operand.pattern, options ?? operand.options)
    return elements((value) => (typeof value === 'string' && regExp.test(value)) || isSameRegExp(value, operand))
  }
  if (typeof operand !== 'string') throw new CommandError(2, '$regex has to be a string')
  const regExp = compileRegExp(operand, options ?? '')
  return elements((value) => typeof value === 'string' && regExp.test(value))
}

const TYPE_NUMBERS: Record<number, string> = {
  1: 'double',
  2: 'string',
  3: 'object',
  4: 'array',
  5: 'binData',
  7: 'objectId',
  8: 'bool',
  9: 'date',
  10: 'null',
  11: 'regex',
  13: 'javascript',
  14: 'symbol',
  16: 'int',
  17: 'timestamp',
  18: 'long',
  19: 'decimal',
  [-1]: 'minKey',
  127: 'maxKey'
}

function type (operand: unknown): Predicate {
  const wanted = new Set((Array.isArray(operand) ? operand : [operand]).map(typeOperand))
  const isNumber = wanted.has('number')
  return elements((value) => value !== undefined && (wanted.has(typeName(value)) || (isNumber && isNumeric(value))))
}

function typeOperand (operand: unknown): string {
  if (typeof operand === 'string') {
    if (operand !== 'number' && !Object.values(TYPE_NUMBERS).includes(operand)) {
      throw new CommandError(2, `Unknown type name alias: ${operand}`)
    }
    return operand
  }
  const name = isNumeric(operand) ? TYPE_NUMBERS[toNumber(operand)] : undefined
  if (name === undefined) throw new CommandError(2, 'type must be represented as a number or a string')
  return name
}

function size (operand: unknown): Predicate {
  if (!isNumeric(operand) || !Number.isInteger(toNumber(operand)) || toNumber(operand) < 0) {
    throw new CommandError(2, 'Failed to parse $size. Expected a non-negative integer')
  }
  const length = toNumber(operand)
  return (value) => Array.isArray(value) && value.length === length
}

function mod (operand: unknown): Predicate {
  if (!Array.isArray(operand) || operand.length !== 2 || !operand.every(isNumeric)) {
    throw new CommandError(2, 'malformed mod, needs to be an array of two numbers')
  }
  const [divisor = 0, remainder = 0] = operand.map((value) => Math.trunc(toNumber(value)))
  if (divisor === 0) throw new CommandError(2, 'divisor cannot be 0')
  return elements((value) => isNumeric(value) && Math.trunc(toNumber(value)) % divisor === remainder)
}

function bits (name: string, operand: unknown, test: (value: bigint, mask: bigint) => boolean): Predicate {
  const mask = bitMask(name, operand)
  return elements((value) => {
    const bits = value instanceof Binary ? bytesToBits(value.value()) : integerBits(value)
    return bits !== undefined && test(bits, mask)
  })
}

function bitMask (name: string, operand: unknown): bigint {
  if (Array.isArray(operand)) {
    return operand.reduce<bigint>((mask, position) => {
      const bit = integerBits(position)
      if (bit === undefined || bit < 0n || bit > 1023n) throw new CommandError(2, `${name} takes bit positions from 0`)
      return mask | (1n << bit)
    }, 0n)
  }
  const mask = operand instanceof Binary ? bytesToBits(operand.value()) : integerBits(operand)
  if (mask === undefined || (!(operand instanceof Binary) && mask < 0n)) {
    throw new CommandError(2, `${name} takes an Array, a number, or a BinData`)
  }
  return mask
}

function integerBits (value: unknown): bigint | undefined {
  if (isLong(value)) return value.toBigInt()
  return isNumeric(value) && Number.isInteger(toNumber(value)) ? BigInt(toNumber(value)) : undefined
}

function bytesToBits (bytes: Uint8Array): bigint {
  return bytes.reduceRight((bits, byte) => (bits << 8n) | BigInt(byte), 0n)
}
