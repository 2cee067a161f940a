import { Timestamp } from 'bson'
import { ARRAY_OPERATORS } from './update-arrays.ts'
import { compareValues } from '../values/compare.ts'
import { CommandError } from '../errors.ts'
import { add, longValue, multiply, toBigInt, type Numeric } from '../values/numbers.ts'
import { erase, parsePath, read, targets, write, type UpdateContext } from './update-paths.ts'
import {
  clone, integerValue, isDocument, isInt32, isLong, isNumeric, doubleValue, typeName, type Document
} from '../values/values.ts'
import { Decimal128, Double } from 'bson'

/** Changes a document in place. */
export type Edit = (document: Document, context: UpdateContext) => void

/** Compiles one `path: argument` of an operator. Throws on bad arguments. */
export type UpdateOperator = (path: string, argument: unknown, options: { now: Date }) => Edit

/** An operator that gives a path's next value from its present one (undefined: leave it). */
export function valueOperator (
  compile: (argument: unknown, path: string) => (value: unknown) => unknown,
  create = true
): UpdateOperator {
  return (path, argument) => {
    const parts = parsePath(path)
    const change = compile(argument, path)
    return (document, context) => {
      for (const target of targets(document, parts, context, create)) {
        const value = read(target)
        const next = change(value)
        if (next !== undefined && next !== value) write(target, next)
      }
    }
  }
}

const assign = valueOperator((argument) => () => clone(argument))

function unset (path: string): Edit {
  const parts = parsePath(path)
  return (document, context) => {
    for (const target of targets(document, parts, context, false)) erase(target)
  }
}

function rename (path: string, argument: unknown): Edit {
  if (typeof argument !== 'string') throw new CommandError(2, `The 'to' field for $rename must be a string: ${path}`)
  if (argument === path) throw new CommandError(2, `The source and target field for $rename must differ: ${path}`)
  const from = parsePath(path)
  const to = parsePath(argument)
  return (document, context) => {
    const [source] = targets(document, from, context, false)
    if (source === undefined || read(source) === undefined) return
    if (Array.isArray(source.container)) {
      throw new CommandError(2, `The source field cannot be an array element, '${path}'`)
    }
    const value = read(source)
    erase(source)
    for (const target of targets(document, to, context, true)) write(target, value)
  }
}

function arithmetic (
  name: string,
  verb: string,
  calculate: (a: Numeric, b: Numeric) => Numeric,
  start: (argument: Numeric) => Numeric
): UpdateOperator {
  return valueOperator((argument, path) => {
    if (!isNumeric(argument)) {
      throw new CommandError(14, `Cannot ${verb} with non-numeric argument: {${path}: ${String(argument)}}`)
    }
    return (value) => {
      if (value === undefined) return start(argument)
      if (isNumeric(value)) return calculate(value, argument)
      throw new CommandError(
        14,
        `Cannot apply ${name} to a value of non-numeric type. The field '${path}' is of type ${typeName(value)}`
      )
    }
  })
}

function zeroLike (argument: Numeric): Numeric {
  if (argument instanceof Decimal128) return Decimal128.fromString('0')
  if (isLong(argument)) return longValue(0n)
  return argument instanceof Double || !isInt32(argument) ? doubleValue(0) : 0
}

function extreme (isBetter: (order: number) => boolean): UpdateOperator {
  return valueOperator((argument) => (value) => {
    return value === undefined || isBetter(compareValues(argument, value)) ? clone(argument) : undefined
  })
}

function currentDate (path: string, argument: unknown, { now }: { now: Date }): Edit {
  const type = isDocument(argument) ? argument.$type : argument === false || argument === true ? 'date' : undefined
  if (type !== 'date' && type !== 'timestamp') {
    throw new CommandError(
      2,
      `The '$type' string field is required to be 'date' or 'timestamp': {$currentDate: {${path}: …}}`
    )
  }
  const value = type === 'date' ? now : new Timestamp({ t: Math.floor(now.getTime() / 1000), i: 1 })
  return valueOperator(() => () => value)(path, undefined, { now })
}

const bit = valueOperator((argument, path) => {
  const operations = isDocument(argument) ? Object.entries(argument) : []
  if (operations.length === 0) {
    throw new CommandError(2, `You must pass in at least one bitwise operation: {$bit: {${path}: …}}`)
  }
  const steps = operations.map(([name, operand]) => {
    if (!isInt32(operand) && !isLong(operand)) {
      throw new CommandError(2, `The $bit modifier field must be an Integer(32/64 bit): ${path}`)
    }
    return { apply: bitwise(name), operand }
  })
  return (value) => {
    const start = value ?? 0
    if (!isInt32(start) && !isLong(start)) {
      throw new CommandError(2, `Cannot apply $bit to a value of non-integral type: ${typeName(start)}`)
    }
    const isWide = isLong(start) || steps.some(({ operand }) => isLong(operand))
    const result = steps.reduce((bits, { apply, operand }) => apply(bits, toBigInt(operand)), toBigInt(start))
    return isWide ? longValue(result) : integerValue(result)
  }
})

function bitwise (name: string): (a: bigint, b: bigint) => bigint {
  switch (name) {
    case 'and': return (a, b) => a & b
    case 'or': return (a, b) => a | b
    case 'xor': return (a, b) => a ^ b
  }
  throw new CommandError(2, `The $bit modifier only supports 'and', 'or', and 'xor', not '${name}'`)
}

/** The update operators by name. */
export const UPDATE_OPERATORS: Readonly<Partial<Record<string, UpdateOperator>>> = {
  $set: assign,
  $setOnInsert: assign,
  $unset: unset,
  $rename: rename,
  $inc: arithmetic('$inc', 'increment', add, (argument) => argument),
  $mul: arithmetic('$mul', 'multiply', multiply, zeroLike),
  $min: extreme((order) => order < 0),
  $max: extreme((order) => order > 0),
  $currentDate: currentDate,
  $bit: bit,
  ...Object.fromEntries(Object.entries(ARRAY_OPERATORS).map(([name, { compile, create }]) => [
    name, valueOperator(compile, create)
  ]))
}
