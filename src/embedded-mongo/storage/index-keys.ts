import { CommandError } from '../errors.ts'
import { EMPTY_ARRAY } from './key-encoding.ts'
import { getField, isDocument, type Document } from '../values/values.ts'

/** The keys a document has in an index, before encoding. */
export interface DocumentKeys {
  /** One row of field values per entry. */
  rows: unknown[][]
  /** Which fields came from an array. */
  multikey: boolean[]
  /** No indexed field is present (what a sparse index leaves out). */
  absent: boolean
}

/** A field on its way down its path; `rest` empty: arrived. */
interface Walk {
  value: unknown
  rest: readonly string[]
  final: boolean
}

/**
 * A document's keys: one entry, or one per element where a path meets an array. Throws 171 on two arrays side by side.
 */
export function documentKeys (document: Document, paths: ReadonlyArray<readonly string[]>): DocumentKeys {
  const multikey = paths.map(() => false)
  const rows = expand(paths.map((rest) => ({ value: document, rest, final: false })), multikey)
  const absent = rows.every((row) => row.every((value) => value === undefined))
  return { rows, multikey, absent }
}

function expand (walks: Walk[], multikey: boolean[]): unknown[][] {
  const advanced = walks.map(advance)
  const first = advanced.find((walk) => !walk.final)
  if (first === undefined) return [advanced.map((walk) => walk.value)]
  const array = first.value as unknown[]
  advanced.forEach((walk, i) => {
    if (walk.final) return
    if (walk.value !== array) throw new CommandError(171, 'cannot index parallel arrays')
    multikey[i] = true
  })
  if (array.length === 0) return expand(advanced.map((walk) => walk.final ? walk : ofEmptyArray(walk)), multikey)
  return array
    .flatMap((element) => expand(advanced.map((walk) => walk.final ? walk : ofElement(walk, element)), multikey))
}

function advance (walk: Walk): Walk {
  let { value, rest } = walk
  if (walk.final) return walk
  while (rest.length > 0) {
    const [name = '', ...deeper] = rest
    if (isDocument(value)) value = getField(value, name)
    else if (Array.isArray(value) && isArrayIndex(name)) value = value[Number(name)]
    else break
    rest = deeper
  }
  if (Array.isArray(value)) return { value, rest, final: false }
  return { value: rest.length === 0 ? value : undefined, rest: [], final: true }
}

function ofEmptyArray (walk: Walk): Walk {
  return { value: walk.rest.length === 0 ? EMPTY_ARRAY : undefined, rest: [], final: true }
}

/** Nested arrays are not opened: as a leaf they are a value, on the way they hide what is below. */
function ofElement (walk: Walk, element: unknown): Walk {
  if (walk.rest.length === 0) return { value: element, rest: [], final: true }
  return isDocument(element)
    ? { value: element, rest: walk.rest, final: false }
    : { value: undefined, rest: [], final: true }
}

/** Whether a path component can be a position in an array. */
export function isArrayIndex (name: string): boolean {
  return /^(0|[1-9]\d{0,8})$/.test(name)
}
