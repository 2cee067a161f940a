import { CommandError } from '../errors.ts'
import { compileExpression, type Variables } from '../aggregation/expressions.ts'
import { elementTest } from './matcher.ts'
import { clone, getField, isDocument, isNumeric, setField, toNumber, type Document } from '../values/values.ts'

/** Shapes a document; `position`: where the filter matched in an array, for `field.$`. */
export type Projection = (document: Document) => Document

interface Node {
  children: Map<string, Node>
  leaf: boolean
}

interface Parsed {
  include: Node
  exclude: Node
  mode: 'include' | 'exclude' | undefined
  id: boolean | undefined
  edits: Array<(source: Document, target: Document) => void>
}

/** Compiles find's projection; undefined when there is none. Throws CommandError 31253, 31254 on mixtures. */
export function compileProjection (
  specification: unknown,
  filter: Document,
  variables: Variables
): Projection | undefined {
  if (specification === undefined || specification === null) return undefined
  if (!isDocument(specification)) throw new CommandError(14, 'Expected field projection to be of type object')
  const entries = Object.entries(specification)
  if (entries.length === 0) return undefined
  const parsed: Parsed = { include: node(), exclude: node(), mode: undefined, id: undefined, edits: [] }
  for (const [path, value] of entries) parseEntry(parsed, path, value, filter, variables)
  const isIdOnly = parsed.mode === undefined && parsed.edits.length === 0
  const including = parsed.mode === 'include' || (isIdOnly && parsed.id === true)
  return (document) => {
    const target = including ? included(document, parsed) : excluded(document, parsed)
    for (const edit of parsed.edits) edit(document, target)
    return target
  }
}

function node (): Node {
  return { children: new Map(), leaf: false }
}

function parseEntry (parsed: Parsed, path: string, value: unknown, filter: Document, variables: Variables): void {
  if (path.endsWith('.$')) return positional(parsed, path.slice(0, -2), filter)
  if (isDocument(value) && '$slice' in value) return slice(parsed, path, value.$slice)
  if (isDocument(value) && '$elemMatch' in value) return firstMatch(parsed, path, value.$elemMatch)
  if (isDocument(value) && !Object.keys(value)[0]?.startsWith('$')) {
    for (const [key, nested] of Object.entries(value)) parseEntry(parsed, `${path}.${key}`, nested, filter, variables)
    return
  }
  if (isNumeric(value) || typeof value === 'boolean') {
    return flag(parsed, path, value === true || (isNumeric(value) && toNumber(value) !== 0))
  }
  setMode(parsed, 'include', path)
  const evaluate = compileExpression(value, variables)
  parsed.edits.push((source, target) => {
    const result = evaluate(source)
    if (result !== undefined) setPath(target, path.split('.'), result)
  })
}

function flag (parsed: Parsed, path: string, wanted: boolean): void {
  if (path === '_id') {
    parsed.id = wanted
    return
  }
  setMode(parsed, wanted ? 'include' : 'exclude', path)
  addPath(wanted ? parsed.include : parsed.exclude, path)
}

function setMode (parsed: Parsed, mode: 'include' | 'exclude', path: string): void {
  if (parsed.mode !== undefined && parsed.mode !== mode) {
    throw mode === 'include'
      ? new CommandError(31253, `Cannot do inclusion on field ${path} in exclusion projection`)
      : new CommandError(31254, `Cannot do exclusion on field ${path} in inclusion projection`)
  }
  parsed.mode = mode
}

function addPath (root: Node, path: string): void {
  let at = root
  for (const part of path.split('.')) {
    const child = at.children.get(part) ?? node()
    at.children.set(part, child)
    at = child
  }
  at.leaf = true
}

function included (document: Document, parsed: Parsed): Document {
  const target: Document = {}
  const id = getField(document, '_id')
  if (parsed.id !== false && id !== undefined) target._id = id
  const rest = includeFields(document, parsed.include)
  for (const key of Object.keys(rest)) setField(target, key, rest[key])
  return target
}

function includeFields (document: Document, { children }: Node): Document {
  const target: Document = {}
  for (const key of Object.keys(document)) {
    const child = children.get(key)
    const value = document[key]
    if (child === undefined) continue
    if (child.leaf) setField(target, key, clone(value))
    else if (isDocument(value) || Array.isArray(value)) setField(target, key, includeBelow(value, child))
  }
  return target
}

function includeBelow (value: Document | unknown[], child: Node): unknown {
  if (!Array.isArray(value)) return includeFields(value, child)
  return value.filter((element) => isDocument(element) || Array.isArray(element))
    .map((element) => includeBelow(element as Document | unknown[], child))
}

function excluded (document: Document, parsed: Parsed): Document {
  const target = excludeBelow(document, parsed.exclude) as Document
  if (parsed.id === false) delete target._id
  return target
}

function excludeBelow (value: unknown, at: Node): unknown {
  if (Array.isArray(value)) return value.map((element) => excludeBelow(element, at))
  if (!isDocument(value)) return value
  const target: Document = {}
  for (const key of Object.keys(value)) {
    const child = at.children.get(key)
    if (child?.leaf === true) continue
    setField(target, key, child === undefined ? clone(value[key]) : excludeBelow(value[key], child))
  }
  return target
}

function slice (parsed: Parsed, path: string, operand: unknown): void {
  const range: unknown[] = Array.isArray(operand) ? operand : [operand]
  const [first, count] = range
  if (!isNumeric(first) || (count !== undefined && (!isNumeric(count) || toNumber(count) <= 0))) {
    throw new CommandError(2, '$slice takes a number, or a position and a positive count')
  }
  const from = toNumber(first)
  const cut = (array: unknown[]) => count === undefined
    ? (from < 0 ? array.slice(from) : array.slice(0, from))
    : array.slice(from).slice(0, toNumber(count))
  edit(parsed, path, cut)
}

function firstMatch (parsed: Parsed, path: string, operand: unknown): void {
  if (!isDocument(operand)) throw new CommandError(2, '$elemMatch needs an Object')
  const test = elementTest(operand)
  setMode(parsed, 'include', path)
  edit(parsed, path, (array) => array.filter(test).slice(0, 1), true)
}

/** `field.$`: the first element that the filter's condition on the array accepts. */
function positional (parsed: Parsed, path: string, filter: Document): void {
  const own = getField(filter, path)
  const below = Object.entries(filter).filter(([key]) => key.startsWith(`${path}.`))
    .map(([key, value]): [string, unknown] => [key.slice(path.length + 1), value])
  const test = below.length > 0 ? elementTest(Object.fromEntries(below)) : conditionTest(own)
  setMode(parsed, 'include', path)
  edit(parsed, path, (array) => array.filter(test).slice(0, 1))
}

function conditionTest (condition: unknown): (element: unknown) => boolean {
  const nested = isDocument(condition) ? getField(condition, '$elemMatch') : undefined
  if (isDocument(nested)) return elementTest(nested)
  return elementTest(isDocument(condition) ? condition : { $eq: condition })
}

function edit (parsed: Parsed, path: string, change: (array: unknown[]) => unknown[], omitEmpty = false): void {
  const parts = path.split('.')
  parsed.edits.push((source, target) => {
    const value = parts.reduce<unknown>((at, part) => isDocument(at) ? getField(at, part) : undefined, source)
    if (!Array.isArray(value)) return
    const changed = change(value)
    if (changed.length > 0 || !omitEmpty) setPath(target, parts, clone(changed))
  })
}

function setPath (target: Document, parts: string[], value: unknown): void {
  const [name = '', ...rest] = parts
  if (rest.length === 0) return setField(target, name, value)
  const child = getField(target, name)
  const next = isDocument(child) ? child : {}
  if (next !== child) setField(target, name, next)
  setPath(next, rest, value)
}
