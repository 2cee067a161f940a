import { type Collection, type Index } from '../storage/catalog.ts'
import { CommandError } from '../errors.ts'
import { type FilterBounds, filterBounds } from './filter-bounds.ts'
import { EVERYTHING, intersection, keyRanges, type EncodedRange, type Interval } from './intervals.ts'
import { valuesEqual } from '../values/compare.ts'
import { compileFilter, isOperators, type Filter } from './matcher.ts'
import { getField, isDocument, isNumeric, toNumber, type Document } from '../values/values.ts'

/** A field to sort by: 1 ascending, -1 descending. */
export interface SortField {
  path: string
  direction: 1 | -1
}

/** How the documents of a query are found. Without an index: all of them, in insertion order. */
export interface Plan {
  index: Index | undefined
  ranges: EncodedRange[]
  reverse: boolean
  /** The bounds answer the whole filter: no document needs to be looked at. */
  exact: boolean
  /** The documents come in the order asked for. */
  sorted: boolean
  bounds: Interval[][]
}

/** More ranges than this (an $in times an $in …) and the later fields are left to the filter. */
const MAX_RANGES = 4096

/** Reads a sort document. Throws CommandError 2 on directions other than 1 and -1. */
export function parseSort (sort: unknown): SortField[] {
  if (sort === undefined || sort === null) return []
  if (!isDocument(sort)) throw new CommandError(14, 'Expected field sort to be of type object')
  return Object.entries(sort).map(([path, value]) => {
    const direction = isNumeric(value) ? toNumber(value) : NaN
    if (direction !== 1 && direction !== -1) {
      throw new CommandError(2, `$sort key ordering must be 1 (for ascending) or -1 (for descending): ${path}`)
    }
    return { path, direction }
  })
}

/** Chooses the index: a unique key given whole, else the longest equality prefix, then a range, then the sort. */
export function plan (collection: Collection, filter: Filter, sort: readonly SortField[], hint?: unknown): Plan {
  const natural = naturalPlan(filter, sort, hint)
  if (natural !== undefined) return natural
  const bounds = filterBounds(filter.source)
  const usable = candidates(collection, filter, hint)
  const plans = usable.map((index) => indexPlan(index, bounds, sort))
    .filter((candidate) => hint !== undefined || candidate.score.some((part, i) => i < 4 && part > 0))
  const [best] = plans.sort((a, b) => compareScores(b.score, a.score))
  return best ?? collectionScan(filter, sort.length === 0)
}

function naturalPlan (filter: Filter, sort: readonly SortField[], hint: unknown): Plan | undefined {
  const [first] = sort
  if (first?.path === '$natural') return { ...collectionScan(filter, true), reverse: first.direction === -1 }
  const natural = isDocument(hint) ? getField(hint, '$natural') : undefined
  if (natural === undefined) return undefined
  return { ...collectionScan(filter, sort.length === 0), reverse: isNumeric(natural) && toNumber(natural) < 0 }
}

function collectionScan (filter: Filter, sorted: boolean): Plan {
  const exact = Object.keys(filter.source).length === 0
  return { index: undefined, ranges: [], reverse: false, exact, sorted, bounds: [] }
}

function candidates (collection: Collection, filter: Filter, hint: unknown): Index[] {
  const ready = collection.indexes.filter((index) => !index.building)
  if (hint === undefined) return ready.filter((index) => isComplete(index, filter))
  const hinted = ready
    .find((index) => typeof hint === 'string' ? index.name === hint : valuesEqual(index.spec.key, hint))
  if (hinted === undefined) throw new CommandError(2, 'hint provided does not correspond to an existing index')
  return [hinted]
}

/** Whether the index has an entry for every document the filter can match. */
function isComplete (index: Index, filter: Filter): boolean {
  const clauses = clausesOf(filter.source)
  if (index.partial !== undefined) return clausesOf(index.partial.source).every((wanted) => isImplied(wanted, clauses))
  return !index.sparse ||
    clauses.some(([path, operand]) => index.fields.some((field) => field.path === path) && isPresent(operand))
}

type Clause = [path: string, operand: unknown]

function clausesOf (filter: Document): Clause[] {
  return Object.entries(filter).flatMap(([key, operand]): Clause[] => {
    if (key === '$and' && Array.isArray(operand)) return operand.filter(isDocument).flatMap(clausesOf)
    if (!isOperators(operand)) return [[key, operand]]
    return Object.entries(operand).map(([operator, value]): Clause => [
      key, operator === '$eq' ? value : { [operator]: value }
    ])
  })
}

/** A condition is implied by the same one, or by an equality whose value satisfies it. */
function isImplied (wanted: Clause, given: Clause[]): boolean {
  const [path, operand] = wanted
  if (path.startsWith('$')) return false
  return given.some(([otherPath, other]) => {
    if (otherPath !== path) return false
    if (valuesEqual(operand, other)) return true
    if (isDocument(operand) && operand.$exists === true) return isPresent(other)
    // Null stands for missing too, of which the index's filter says nothing.
    return !isOperators(other) && !Array.isArray(other) && isPresent(other) &&
      compileFilter({ value: operand }).test({ value: other })
  })
}

/** Whether a condition can hold only for a field that is there. */
function isPresent (operand: unknown): boolean {
  if (!isOperators(operand)) return operand !== null && operand !== undefined
  const [operator, value] = Object.entries(operand)[0] ?? []
  if (operator === '$exists') return value === true
  if (operator === '$in') return Array.isArray(value) && value.every((one) => one !== null && one !== undefined)
  return ['$gt', '$gte', '$lt', '$lte'].includes(operator ?? '') && value !== null
}

interface ScoredPlan extends Plan {
  score: number[]
}

function compareScores (a: number[], b: number[]): number {
  const i = a.findIndex((part, i) => part !== b[i])
  return (a[i] ?? 0) - (b[i] ?? 0)
}

function indexPlan (index: Index, given: FilterBounds, sort: readonly SortField[]): ScoredPlan {
  const { bounds, used, isWhole } = boundsFor(index, given)
  const equalities = bounds.filter((intervals) => intervals.length > 0 && intervals.every(({ point }) => point)).length
  const isRange = bounds.length > equalities
  const direction = sortDirection(index, bounds, sort)
  const isKey = index.unique && equalities === index.fields.length &&
    bounds.every((intervals) => intervals.length === 1)
  return {
    index,
    bounds,
    ranges: keyRanges(bounds, index.fields.map((field) => field.direction), index.truncated),
    reverse: direction === -1,
    exact: isWhole && used === given.clauses && !index.truncated,
    sorted: direction !== undefined,
    score: [
      Number(isKey), equalities, Number(isRange), Number(direction !== undefined && sort.length > 0),
      -index.fields.length
    ]
  }
}

/** The bounds of the leading fields, how many of the filter's clauses they use up, and whether exactly. */
function boundsFor (index: Index, given: FilterBounds): { bounds: Interval[][], used: number, isWhole: boolean } {
  const bounds: Interval[][] = []
  let used = 0
  let isWhole = given.complete
  let ranges = 1
  let isMultikeyBound = false
  for (const { path } of index.fields) {
    const conditions = given.fields.get(path) ?? []
    const isMultikey = index.multikey.has(path)
    // Two fields of one array are paired per element, conditions on them are not.
    if (conditions.length === 0 || (isMultikey && isMultikeyBound)) break
    // Different elements of an array may satisfy different conditions: only one of them can narrow.
    const narrowing = isMultikey ? conditions.slice(0, 1) : conditions
    const intervals = narrowing.map((condition) => condition.intervals).reduce(intersection, [EVERYTHING])
    ranges *= intervals.length
    if (ranges > MAX_RANGES) break
    bounds.push(intervals)
    used += narrowing.length
    isWhole &&= narrowing.every((condition) => condition.exact)
    isMultikeyBound ||= isMultikey
    if (!intervals.every(({ point }) => point)) break
  }
  return { bounds, used, isWhole }
}

/** The direction in which the index gives the order asked for; undefined when it does not. */
function sortDirection (index: Index, bounds: Interval[][], sort: readonly SortField[]): 1 | -1 | undefined {
  if (sort.length === 0) return 1
  if (index.truncated || sort.some(({ path }) => index.multikey.has(path))) return undefined
  const isConstant = (at: number) => bounds[at]?.length === 1 && bounds[at][0]?.point === true
  const fixed = index.fields.filter(({ path }, at) => isConstant(at) && !index.multikey.has(path))
  const constants = new Set(fixed.map(({ path }) => path))
  const wanted = sort.filter(({ path }) => !constants.has(path))
  let direction: 1 | -1 | undefined
  let at = 0
  for (const { path, direction: wish } of wanted) {
    while (index.fields[at]?.path !== path && isConstant(at)) at++
    const field = index.fields[at]
    if (field?.path !== path) return undefined
    const needed = field.direction === wish ? 1 : -1
    if (direction !== undefined && direction !== needed) return undefined
    direction = needed
    at++
  }
  return direction ?? 1
}
