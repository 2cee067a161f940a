import { BSONRegExp } from 'bson'
import { valuesEqual } from '../values/compare.ts'
import { CommandError } from '../errors.ts'
import { elementTest } from '../query/matcher.ts'
import { parseSort } from '../query/planner.ts'
import { sortKey } from '../query/sorting.ts'
import { clone, isDocument, isNumeric, toNumber, typeName } from '../values/values.ts'

/** An operator on an array: the argument gives a function from the present value to the next (undefined: leave it). */
export interface ArrayOperator {
  compile: (argument: unknown, path: string) => (value: unknown) => unknown
  /** Makes the array when the field is missing. */
  create: boolean
}

function arrayAt (value: unknown, path: string, code: 2 | 14, action: string): unknown[] {
  if (Array.isArray(value)) return value
  throw new CommandError(code, `${action} needs an array; the field '${path}' is of type ${typeName(value)}`)
}

function push (argument: unknown, path: string): (value: unknown) => unknown {
  const modifiers = isDocument(argument) && '$each' in argument ? argument : { $each: [argument] }
  const { $each: each, $position: position, $slice: slice, $sort: sort, ...unknown } = modifiers
  if (!isArray(each)) {
    throw new CommandError(2, `The argument to $each in $push must be an array but it was of type ${typeName(each)}`)
  }
  const [stray] = Object.keys(unknown)
  if (stray !== undefined) throw new CommandError(2, `Unrecognized clause in $push: ${stray}`)
  const at = integerOption('$position', position)
  const keep = integerOption('$slice', slice)
  const order = sort === undefined ? undefined : elementOrder(sort)
  return (value) => {
    const array = [...value === undefined ? [] : arrayAt(value, path, 2, '$push')]
    array.splice(at === undefined ? array.length : at, 0, ...each.map(clone))
    if (order !== undefined) array.sort(order)
    if (keep === undefined) return array
    return keep < 0 ? array.slice(keep) : array.slice(0, keep)
  }
}

/** Array.isArray whose elements are unknown, not any. */
function isArray (value: unknown): value is unknown[] {
  return Array.isArray(value)
}

function integerOption (name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (!isNumeric(value) || !Number.isInteger(toNumber(value))) {
    throw new CommandError(2, `The value for ${name} must be an integer value`)
  }
  return toNumber(value)
}

function elementOrder (sort: unknown): (a: unknown, b: unknown) => number {
  const fields = isDocument(sort) ? parseSort(sort) : parseSort({ value: sort })
  const asDocument = (element: unknown) => isDocument(element) ? element : {}
  const key = (element: unknown) => sortKey(isDocument(sort) ? asDocument(element) : { value: [element] }, fields)
  return (a, b) => Buffer.compare(key(a), key(b))
}

function addToSet (argument: unknown, path: string): (value: unknown) => unknown {
  const each: unknown = isDocument(argument) && '$each' in argument ? argument.$each : [argument]
  if (!Array.isArray(each)) {
    throw new CommandError(
      14,
      `The argument to $each in $addToSet must be an array but it was of type ${typeName(each)}`
    )
  }
  return (value) => {
    const array = [...value === undefined ? [] : arrayAt(value, path, 2, '$addToSet')]
    const length = value === undefined ? -1 : array.length
    for (const element of each) if (!array.some((present) => valuesEqual(present, element))) array.push(clone(element))
    return array.length === length ? undefined : array
  }
}

function pop (argument: unknown, path: string): (value: unknown) => unknown {
  const end = isNumeric(argument) ? toNumber(argument) : NaN
  if (end !== 1 && end !== -1) throw new CommandError(9, `$pop expects 1 or -1, found: ${String(argument)}`)
  return (value) => {
    if (value === undefined) return undefined
    const array = arrayAt(value, path, 14, '$pop')
    return end === 1 ? array.slice(0, -1) : array.slice(1)
  }
}

function without (path: string, action: string, isRemoved: (element: unknown) => boolean) {
  return (value: unknown) => {
    if (value === undefined) return undefined
    const array = arrayAt(value, path, 2, action)
    const kept = array.filter((element) => !isRemoved(element))
    return kept.length === array.length ? undefined : kept
  }
}

function pull (argument: unknown, path: string): (value: unknown) => unknown {
  const test = isDocument(argument)
    ? elementTest(argument)
    : argument instanceof BSONRegExp
      ? elementTest({ $regex: argument })
      : (element: unknown) => valuesEqual(element, argument)
  return without(path, '$pull', test)
}

function pullAll (argument: unknown, path: string): (value: unknown) => unknown {
  if (!Array.isArray(argument)) {
    throw new CommandError(2, `$pullAll requires an array argument but was given a ${typeName(argument)}`)
  }
  return without(path, '$pullAll', (element) => argument.some((value) => valuesEqual(value, element)))
}

/** The array update operators by name. */
export const ARRAY_OPERATORS: Readonly<Record<string, ArrayOperator>> = {
  $push: { compile: push, create: true },
  $addToSet: { compile: addToSet, create: true },
  $pop: { compile: pop, create: false },
  $pull: { compile: pull, create: false },
  $pullAll: { compile: pullAll, create: false }
}
