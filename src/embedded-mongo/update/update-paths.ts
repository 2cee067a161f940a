import { CommandError } from '../errors.ts'
import { isArrayIndex } from '../storage/index-keys.ts'
import { elementTest } from '../query/matcher.ts'
import { getField, isDocument, setField, typeName, type Document } from '../values/values.ts'

/** What positional paths refer to. */
export interface UpdateContext {
  /** The document before the update. */
  document: Document
  filter: Document
  filters: Map<string, (element: unknown) => boolean>
}

/** A place a path leads to: a field of a document or a position of an array. */
export interface Target {
  container: Document | unknown[]
  key: string
}

const MAX_BACKFILL = 1_500_000

/** Takes a path apart. Throws 56 on empty names, 2 on a leading positional operator. */
export function parsePath (path: string): string[] {
  const parts = path.split('.')
  if (parts.includes('')) {
    throw new CommandError(56, `The update path '${path}' contains an empty field name, which is not allowed.`)
  }
  if (parts[0]?.startsWith('$') === true) {
    throw parts[0] === '$' || parts[0].startsWith('$[')
      ? new CommandError(
        2,
        `Cannot have array filter or positional operator as the first element of the path '${path}'`
      )
      : new CommandError(52, `The dollar ($) prefixed field '${parts[0]}' in '${path}' is not valid for storage.`)
  }
  return parts
}

/** The places a path leads to. `create`: missing documents on the way are made, else such a path leads nowhere. */
export function targets (
  document: Document,
  parts: readonly string[],
  context: UpdateContext,
  create: boolean
): Target[] {
  return walk(document, parts, 0, context, create)
}

function walk (
  container: Document | unknown[],
  parts: readonly string[],
  at: number,
  context: UpdateContext,
  create: boolean
): Target[] {
  const name = parts[at] ?? ''
  if (name.startsWith('$')) {
    return positions(container, parts, at, context)
      .flatMap((i) => step(container, String(i), parts, at, context, create))
  }
  if (Array.isArray(container) && !isArrayIndex(name)) {
    if (!create) return []
    throw new CommandError(28, `Cannot create field '${name}' in element {${parts[at - 1] ?? ''}: …}`)
  }
  return step(container, name, parts, at, context, create)
}

function step (
  container: Document | unknown[],
  key: string,
  parts: readonly string[],
  at: number,
  context: UpdateContext,
  create: boolean
): Target[] {
  if (at === parts.length - 1) return [{ container, key }]
  const target = { container, key }
  const next = read(target)
  if (isDocument(next) || Array.isArray(next)) return walk(next, parts, at + 1, context, create)
  if (!create) return []
  const below = parts[at + 1] ?? ''
  if (next !== undefined && below.startsWith('$')) {
    throw new CommandError(2, `Cannot apply array updates to non-array element ${key}`)
  }
  if (next !== undefined) {
    throw new CommandError(28, `Cannot create field '${below}' in element {${key}: ${typeName(next)}}`)
  }
  if (below.startsWith('$')) {
    throw new CommandError(
      2,
      `The path '${parts.slice(0, at + 1).join('.')}' must exist in the document in order to apply array updates.`
    )
  }
  const made: Document = {}
  write(target, made)
  return walk(made, parts, at + 1, context, create)
}

/** The positions that `$`, `$[]` or `$[name]` stands for. */
function positions (
  container: Document | unknown[],
  parts: readonly string[],
  at: number,
  context: UpdateContext
): number[] {
  const name = parts[at] ?? ''
  if (!Array.isArray(container)) {
    throw new CommandError(2, `Cannot apply array updates to non-array element ${parts[at - 1] ?? ''}`)
  }
  if (name === '$[]') return [...container.keys()]
  if (name === '$') return [matchedPosition(parts.slice(0, at), context)]
  const test = context.filters.get(name.slice(2, -1))
  if (test === undefined) throw new CommandError(2, `No array filter found for identifier '${name.slice(2, -1)}'`)
  return [...container.keys()].filter((i) => test(container[i]))
}

/** Where in the array the query matched. */
function matchedPosition (parts: readonly string[], { document, filter }: UpdateContext): number {
  const path = parts.join('.')
  const array = parts.reduce<unknown>((value, part) => isDocument(value) ? getField(value, part) : undefined, document)
  for (const test of conditions(filter, path)) {
    const position = Array.isArray(array) ? array.findIndex(test) : -1
    if (position !== -1) return position
  }
  throw new CommandError(2, 'The positional operator did not find the match needed from the query.')
}

function conditions (filter: Document, path: string): Array<(element: unknown) => boolean> {
  return Object.entries(filter).flatMap(([key, operand]) => {
    if ((key === '$and' || key === '$or') && Array.isArray(operand)) {
      return operand.filter(isDocument).flatMap((one) => conditions(one, path))
    }
    if (key.startsWith(`${path}.`)) return [elementTest({ [key.slice(path.length + 1)]: operand })]
    if (key !== path) return []
    const nested = isDocument(operand) ? getField(operand, '$elemMatch') : undefined
    if (isDocument(nested)) return [elementTest(nested)]
    const isOperator = isDocument(operand) && Object.keys(operand)[0]?.startsWith('$') === true
    return [elementTest(isOperator ? operand : { $eq: operand })]
  })
}

/** The value at a place; undefined when there is none. */
export function read ({ container, key }: Target): unknown {
  return Array.isArray(container) ? container[Number(key)] : getField(container, key)
}

/** Sets the value at a place; an array is filled up with null to get there. */
export function write ({ container, key }: Target, value: unknown): void {
  if (!Array.isArray(container)) return setField(container, key, value)
  const position = Number(key)
  if (position - container.length > MAX_BACKFILL) {
    throw new CommandError(2, `can't backfill more than ${MAX_BACKFILL} elements`)
  }
  while (container.length < position) container.push(null)
  container[position] = value
}

/** Removes a field; of an array a position becomes null. */
export function erase (target: Target): void {
  if (read(target) === undefined) return
  if (Array.isArray(target.container)) target.container[Number(target.key)] = null
  else delete target.container[target.key]
}
