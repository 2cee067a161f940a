import { CommandError } from '../errors.ts'
import { type Variables } from '../aggregation/expressions.ts'
import { elementTest, isOperators } from '../query/matcher.ts'
import { compilePipelineUpdate } from './update-pipeline.ts'
import { UPDATE_OPERATORS, type Edit } from './update-operators.ts'
import { type UpdateContext, parsePath } from './update-paths.ts'
import { compareStrings, valuesEqual } from '../values/compare.ts'
import { isArrayIndex } from '../storage/index-keys.ts'
import { clone, getField, isDocument, setField, type Document } from '../values/values.ts'

/** What an update needs to know besides the update itself. */
export interface UpdateOptions {
  filter: Document
  arrayFilters?: unknown
  variables: Variables
  now: Date
}

/** A compiled update. */
export interface Update {
  isReplacement: boolean
  /** The changed document, or undefined when nothing changes. `inserting`: $setOnInsert counts. */
  apply: (document: Document, inserting?: boolean) => Document | undefined
}

/**
 * Compiles an update: a pipeline, a replacement or operators. Our own operators and not mingo's, because mingo's
 * calculate with JS numbers only (an int64 or decimal field breaks), and do not know MongoDB's conflicts and error
 * codes.
 */
export function compileUpdate (update: unknown, options: UpdateOptions): Update {
  if (Array.isArray(update)) return pipeline(update, options)
  if (!isDocument(update)) throw new CommandError(9, 'Update argument must be either an object or an array')
  const isModifier = Object.keys(update)[0]?.startsWith('$') === true
  if (!isModifier && options.arrayFilters !== undefined) throw new CommandError(9, 'arrayFilters need update operators')
  return isModifier ? operators(update, options) : replacement(update)
}

function pipeline (stages: unknown[], options: UpdateOptions): Update {
  if (options.arrayFilters !== undefined) {
    throw new CommandError(9, 'arrayFilters may not be specified for pipeline-style updates')
  }
  const run = compilePipelineUpdate(stages, options.variables)
  return { isReplacement: false, apply: (document) => changed(document, run(document)) }
}

function replacement (update: Document): Update {
  for (const key of Object.keys(update)) {
    if (key.startsWith('$')) {
      throw new CommandError(52, `The dollar ($) prefixed field '${key}' is not allowed in a replacement`)
    }
  }
  return {
    isReplacement: true,
    apply: (document) => {
      const id = getField(document, '_id')
      const { _id = id, ...rest } = clone(update)
      return changed(document, _id === undefined ? rest : { _id, ...rest })
    }
  }
}

/** Checks that _id stays, and whether anything is different: also a field's type or the order of fields. */
function changed (before: Document, after: Document): Document | undefined {
  const id = getField(before, '_id')
  if (id !== undefined && !valuesEqual(id, getField(after, '_id'))) {
    throw new CommandError(66, "Performing an update on the path '_id' would modify the immutable field '_id'")
  }
  return isIdentical(before, after) ? undefined : after
}

function operators (update: Document, options: UpdateOptions): Update {
  const filters = parseArrayFilters(options.arrayFilters)
  const used = new Set<string>()
  const edits: Array<{ path: string, edit: Edit, onInsert: boolean }> = []
  const paths: string[] = []
  for (const [name, operand] of Object.entries(update)) {
    const operator = UPDATE_OPERATORS[name]
    if (operator === undefined) {
      throw new CommandError(
        9,
        `Unknown modifier: ${name}. Expected a valid update modifier or pipeline-style update specified as an array`
      )
    }
    if (!isDocument(operand)) {
      throw new CommandError(
        9,
        `Modifiers operate on fields but we found type ${typeof operand} instead. For example: {$mod: {<field>: ...}}`
      )
    }
    for (const [path, argument] of Object.entries(operand)) {
      paths.push(path, ...(name === '$rename' && typeof argument === 'string' ? [argument] : []))
      for (const part of parsePath(path)) if (/^\$\[.+\]$/.test(part)) used.add(part.slice(2, -1))
      edits.push({ path, edit: operator(path, argument, { now: options.now }), onInsert: name === '$setOnInsert' })
    }
  }
  checkConflicts(paths)
  // New fields appear in the order of their paths, whatever the order of the operators.
  edits.sort((a, b) => comparePaths(a.path, b.path))
  checkFilterUse(filters, used)
  const context: Omit<UpdateContext, 'document'> = { filter: options.filter, filters }
  return {
    isReplacement: false,
    apply: (document, inserting = false) => {
      const after = clone(document)
      for (const { edit, onInsert } of edits) if (inserting || !onInsert) edit(after, { ...context, document })
      return changed(document, after)
    }
  }
}

function comparePaths (a: string, b: string): number {
  const x = a.split('.')
  const y = b.split('.')
  for (let i = 0; i < Math.min(x.length, y.length); i++) {
    const [p = '', q = ''] = [x[i], y[i]]
    const order = isArrayIndex(p) && isArrayIndex(q) ? Number(p) - Number(q) : compareStrings(p, q)
    if (order !== 0) return order
  }
  return x.length - y.length
}

/** Two operators on one path, or on a path and one below it. */
function checkConflicts (paths: string[]): void {
  const sorted = paths.map((path) => `${path}.`).sort()
  sorted.forEach((path, i) => {
    const next = sorted[i + 1]
    if (next?.startsWith(path) === true) {
      throw new CommandError(
        40,
        `Updating the path '${next.slice(0, -1)}' would create a conflict at '${path.slice(0, -1)}'`
      )
    }
  })
}

function parseArrayFilters (filters: unknown): Map<string, (element: unknown) => boolean> {
  const tests = new Map<string, (element: unknown) => boolean>()
  if (filters === undefined) return tests
  if (!Array.isArray(filters)) throw new CommandError(14, 'arrayFilters must be an array')
  for (const filter of filters) {
    const [identifier, test] = parseArrayFilter(filter)
    if (tests.has(identifier)) {
      throw new CommandError(9, `Found multiple array filters with the same top-level field name ${identifier}`)
    }
    tests.set(identifier, test)
  }
  return tests
}

function parseArrayFilter (filter: unknown): [string, (element: unknown) => boolean] {
  const names = isDocument(filter) ? identifiers(filter) : new Set<string>()
  const [identifier] = names
  if (!isDocument(filter) || identifier === undefined || names.size > 1) {
    throw new CommandError(9, 'An array filter needs exactly one top-level field name')
  }
  const test = elementTest(filter)
  return [identifier, (element) => test({ [identifier]: element })]
}

function identifiers (filter: Document): Set<string> {
  return new Set(Object.entries(filter).flatMap(([key, value]) => key.startsWith('$') && Array.isArray(value)
    ? value.filter(isDocument).flatMap((branch) => [...identifiers(branch)])
    : [key.split('.')[0] ?? '']))
}

function checkFilterUse (filters: Map<string, unknown>, used: Set<string>): void {
  for (const name of used) {
    if (!filters.has(name)) {
      throw new CommandError(
        2,
    `No array filter found for identifier '${name}'`
      )
    }
  }
  for (const name of filters.keys()) {
    if (!used.has(name)) {
      throw new CommandError(9, `The array filter for identifier '${name}' was not used in the update`)
    }
  }
}

/** The document an upsert starts from: the filter's equalities. */
export function upsertSeed (filter: Document, update: Update): Document {
  const seed: Document = {}
  for (const [path, value] of equalities(filter)) {
    if (update.isReplacement && path !== '_id') continue
    setNested(seed, path.split('.'), clone(value))
  }
  return seed
}

function equalities (filter: Document): Array<[string, unknown]> {
  return Object.entries(filter).flatMap(([key, operand]): Array<[string, unknown]> => {
    if (key === '$and' && Array.isArray(operand)) return operand.filter(isDocument).flatMap(equalities)
    if (key === '$or' && Array.isArray(operand) && operand.length === 1) {
      return operand.filter(isDocument).flatMap(equalities)
    }
    if (key.startsWith('$')) return []
    if (!isOperators(operand)) return [[key, operand]]
    if ('$eq' in operand) return [[key, operand.$eq]]
    const only = [operand.$in, operand.$all]
      .find((list) => Array.isArray(list) && list.length === 1) as unknown[] | undefined
    return only === undefined ? [] : [[key, only[0]]]
  })
}

function setNested (target: Document, parts: string[], value: unknown): void {
  const [name = '', ...rest] = parts
  if (rest.length === 0) return setField(target, name, value)
  const child = getField(target, name)
  if (child !== undefined && !isDocument(child)) {
    throw new CommandError(28, `Cannot create field '${rest[0] ?? ''}' in element {${name}: …}`)
  }
  const next = child ?? {}
  setField(target, name, next)
  setNested(next, rest, value)
}

/** Same values, same types, same order of fields. */
export function isIdentical (a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((value, i) => isIdentical(value, b[i]))
  }
  if (isDocument(a)) {
    if (!isDocument(b)) return false
    const keys = Object.keys(a)
    const others = Object.keys(b)
    return keys.length === others.length && keys.every((key, i) => key === others[i] && isIdentical(a[key], b[key]))
  }
  return typeof a === 'object' && typeof b === 'object' && a !== null && b !== null &&
    a.constructor === b.constructor && valuesEqual(a, b)
}
