import { CommandError } from '../errors.ts'
import { compileExpression, type Variables } from '../aggregation/expressions.ts'
import { isArrayIndex } from '../storage/index-keys.ts'
import { compileOperator, equals, type Predicate } from './match-operators.ts'
import { BSONRegExp } from 'bson'
import { getField, isDocument, isNumeric, toNumber, type Document } from '../values/values.ts'

/**
 * A compiled filter. Our own and not mingo's, because mingo compares what BSON does not: it sorts arrays before
 * comparing them, knows no type bracketing, and takes int64, decimals and binary for objects.
 */
export interface Filter {
  source: Document
  test: (document: Document) => boolean
}

type Test = (document: Document) => boolean

/** Compiles a query filter. Throws CommandError 2 on unknown operators and bad operands. */
export function compileFilter (source: Document, variables: Variables = {}): Filter {
  const tests = Object.entries(source).map(([key, operand]) => compileEntry(key, operand, variables))
  return { source, test: all(tests) }
}

function all (tests: Test[]): Test {
  return tests.length === 1 && tests[0] !== undefined ? tests[0] : (document) => tests.every((test) => test(document))
}

function compileEntry (key: string, operand: unknown, variables: Variables): Test {
  if (!key.startsWith('$')) return compileField(key, operand, variables)
  switch (key) {
    case '$and': return all(branches(key, operand, variables))
    case '$or': return some(branches(key, operand, variables))
    case '$nor': return negate(some(branches(key, operand, variables)))
    case '$expr': return expression(operand, variables)
    case '$comment': return () => true
  }
  throw new CommandError(
    2,
    `unknown top level operator: ${key}`
  )
}

function some (tests: Test[]): Test {
  return (document) => tests.some((test) => test(document))
}

function negate (test: Test): Test {
  return (document) => !test(document)
}

function branches (key: string, operand: unknown, variables: Variables): Test[] {
  if (!Array.isArray(operand)) throw new CommandError(2, `${key} must be an array`)
  if (operand.length === 0) throw new CommandError(2, `${key} must be a nonempty array`)
  return operand.map((branch: unknown) => {
    if (!isDocument(branch)) throw new CommandError(2, `${key} argument's entries must be objects`)
    return compileFilter(branch, variables).test
  })
}

function expression (operand: unknown, variables: Variables): Test {
  const evaluate = compileExpression(operand, variables)
  return (document) => isTruthy(evaluate(document))
}

function isTruthy (value: unknown): boolean {
  const isZero = isNumeric(value) && toNumber(value) === 0
  return value !== false && value !== null && value !== undefined && !isZero
}

/** Whether an operand is a set of operators (`{$gt: 1}`) and not a value to be equal to. */
export function isOperators (operand: unknown): operand is Document {
  if (!isDocument(operand)) return false
  const first = Object.keys(operand)[0]
  return first !== undefined && first.startsWith('$') && !['$ref', '$id', '$db'].includes(first)
}

function compileField (path: string, operand: unknown, variables: Variables): Test {
  const parts = path.split('.')
  const predicate = isOperators(operand) ? compileOperators(operand, variables) : { leaf: equals(operand) }
  return onPath(parts, predicate)
}

function onPath (parts: readonly string[], predicate: FieldPredicate): Test {
  return (document) => {
    if (predicate.leaf !== undefined) return anyLeaf(document, parts, 0, predicate.leaf)
    return predicate.all?.every((one) => onPath(parts, one)(document)) === true ||
      (predicate.none !== undefined && !onPath(parts, predicate.none)(document))
  }
}

/** What is asked of a field: of one of its leaves; several such questions; or the negation of one. */
interface FieldPredicate {
  leaf?: Predicate
  all?: FieldPredicate[]
  none?: FieldPredicate
}

function compileOperators (operators: Document, variables: Variables): FieldPredicate {
  const predicates: FieldPredicate[] = []
  for (const [name, operand] of Object.entries(operators)) {
    if (name === '$options') {
      if (!('$regex' in operators)) throw new CommandError(2, '$options needs a $regex')
      continue
    }
    predicates.push(compileOne(name, operand, operators, variables))
  }
  return { all: predicates }
}

function compileOne (name: string, operand: unknown, siblings: Document, variables: Variables): FieldPredicate {
  switch (name) {
    case '$ne': return { none: { leaf: equals(operand) } }
    case '$nin': return { none: { leaf: compileOperator('$in', operand, siblings) } }
    case '$not': return { none: negated(operand, variables) }
    case '$exists': return existence(operand)
    case '$elemMatch': return { leaf: elemMatch(operand, variables) }
    case '$all': return allOf(operand, variables)
  }
  return { leaf: compileOperator(name, operand, siblings) }
}

function negated (operand: unknown, variables: Variables): FieldPredicate {
  if (operand instanceof BSONRegExp) return { leaf: equals(operand) }
  if (!isOperators(operand)) throw new CommandError(2, '$not needs a regex or a document')
  return compileOperators(operand, variables)
}

function existence (operand: unknown): FieldPredicate {
  const exists: FieldPredicate = { leaf: (value) => value !== undefined }
  const wanted = isTruthy(operand)
  return wanted ? exists : { none: exists }
}

/** Operators in it: an element that satisfies them all; fields in it: an element that is a matching document. */
function elemMatch (operand: unknown, variables: Variables): Predicate {
  if (!isDocument(operand)) throw new CommandError(2, '$elemMatch needs an Object')
  const test = elementTest(operand, variables)
  return (value) => Array.isArray(value) && value.some(test)
}

/** The test of one array element, for $elemMatch and $pull. */
export function elementTest (operand: Document, variables: Variables = {}): (element: unknown) => boolean {
  const logical = ['$and', '$or', '$nor', '$expr'].includes(Object.keys(operand)[0] ?? '')
  if (isOperators(operand) && !logical) {
    // The element stands under a name of its own; an array among the elements is compared as a whole too.
    const test = onPath(['element'], compileOperators(operand, variables))
    return (element) => test({ element })
  }
  const filter = compileFilter(operand, variables)
  return (element) => isDocument(element)
    ? filter.test(element)
    : Array.isArray(element) && filter.test(Object.fromEntries(element.entries()))
}

function allOf (operand: unknown, variables: Variables): FieldPredicate {
  if (!Array.isArray(operand)) throw new CommandError(2, '$all needs an array')
  if (operand.length === 0) return { leaf: () => false }
  return {
    all: operand.map((value: unknown) => {
      const nested = isDocument(value) ? getField(value, '$elemMatch') : undefined
      return { leaf: nested === undefined ? equals(value) : elemMatch(nested, variables) }
    })
  }
}

/**
 * Whether a value at the end of the path satisfies the predicate. Arrays on the way are opened, one level; a numeric
 * component is a position as well as a name.
 */
function anyLeaf (value: unknown, parts: readonly string[], at: number, predicate: Predicate): boolean {
  if (at === parts.length) return predicate(value)
  const name = parts[at] ?? ''
  if (isDocument(value)) return anyLeaf(getField(value, name), parts, at + 1, predicate)
  if (!Array.isArray(value)) return predicate(undefined)
  if (isArrayIndex(name) && Number(name) < value.length && anyLeaf(value[Number(name)], parts, at + 1, predicate)) {
    return true
  }
  return value.some((element) => isDocument(element) && anyLeaf(element, parts, at, predicate))
}
