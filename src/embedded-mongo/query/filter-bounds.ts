import { boundsOf, equality, union, type FieldBounds } from './intervals.ts'
import { isOperators } from './matcher.ts'
import { isDocument, type Document } from '../values/values.ts'

/** What a filter says about single fields, as index bounds. */
export interface FilterBounds {
  /** The conditions on each path; each must hold. */
  fields: Map<string, FieldBounds[]>
  /** How many conditions there are. */
  clauses: number
  /** Everything the filter says is in `fields`. */
  complete: boolean
}

/** Takes the conditions of a filter that an index can narrow; of an $or what all its branches have in common. */
export function filterBounds (filter: Document): FilterBounds {
  const found: FilterBounds = { fields: new Map(), clauses: 0, complete: true }
  for (const [key, operand] of Object.entries(filter)) collect(found, key, operand)
  return found
}

function collect (found: FilterBounds, key: string, operand: unknown): void {
  if (key === '$comment') return
  if (key === '$and' && Array.isArray(operand)) {
    for (const branch of operand.filter(isDocument)) merge(found, filterBounds(branch))
  } else if (key === '$or' && Array.isArray(operand)) {
    found.complete = false
    for (const [path, bounds] of commonBounds(operand.filter(isDocument))) add(found, path, bounds)
  } else if (key.startsWith('$')) {
    found.complete = false
  } else if (isOperators(operand)) {
    for (const [operator, value] of Object.entries(operand)) {
      if (operator !== '$options') add(found, key, boundsOf(operator, value, operand.$options))
    }
  } else {
    add(found, key, equality(operand))
  }
}

function add (found: FilterBounds, path: string, bounds: FieldBounds | undefined): void {
  if (bounds === undefined) {
    found.complete = false
    return
  }
  found.clauses++
  const conditions = found.fields.get(path) ?? []
  // The narrowest first: on an array only one can be used.
  const isPoint = bounds.intervals.every(({ point }) => point)
  found.fields.set(path, isPoint ? [bounds, ...conditions] : [...conditions, bounds])
}

function merge (found: FilterBounds, other: FilterBounds): void {
  found.complete &&= other.complete
  for (const [path, conditions] of other.fields) {
    for (const condition of conditions) add(found, path, condition)
  }
}

/** For each path that every branch bounds: the union. It narrows a page cursor's `$or` to where the page starts. */
function commonBounds (branches: Document[]): Array<[string, FieldBounds]> {
  const [first, ...others] = branches.map((branch) => filterBounds(branch).fields)
  if (first === undefined) return []
  return [...first.keys()].filter((path) => others.every((branch) => branch.has(path))).map((path) => {
    const intervals = [first, ...others].flatMap((branch) => branch.get(path)?.[0]?.intervals ?? [])
    return [path, { intervals: union(intervals), exact: false }]
  })
}
