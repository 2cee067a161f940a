import { ObjectId } from 'bson'
import {
  type Catalog, type Collection, type Index, RECORD_ID_BYTES, indexPrefix, recordIdOf, recordKey
} from './catalog.ts'
import { CommandError } from '../errors.ts'
import { documentKeys } from './index-keys.ts'
import { encodeKey, isTooLong, storedKey, successor } from './key-encoding.ts'
import { type Storage } from './storage.ts'
import { decode, encodeStored, getField, isDocument, type Document } from '../values/values.ts'
import { BSONRegExp } from 'bson'

/** An index entry to be written: its key without the record id. */
interface Entry {
  key: Buffer
  row: unknown[]
}

interface IndexChange {
  index: Index
  added: Entry[]
  removed: Buffer[]
  multikey: string[]
  truncated: boolean
}

/**
 * Writes documents together with all their index entries. Everything that can be refused is refused before the first
 * put.
 */
export class Records {
  private readonly storage: Storage
  private readonly catalog: Catalog

  constructor (storage: Storage, catalog: Catalog) {
    this.storage = storage
    this.catalog = catalog
  }

  /** Adds a document; an `_id` is made when absent and comes first. Answers the document as stored. */
  insert (collection: Collection, document: Document, raw?: Uint8Array): Document {
    const isFirst = Object.keys(document)[0] === '_id'
    const complete = isFirst ? document : { _id: getField(document, '_id') ?? new ObjectId(), ...withoutId(document) }
    checkId(complete._id)
    const bytes = raw !== undefined && isFirst ? raw : encodeStored(complete)
    const changes = collection.indexes.map((index) => this.change(collection, index, undefined, complete, undefined))
    const id = collection.nextRecordId++
    this.apply(collection, id, changes)
    this.storage.put(recordKey(collection.id, id), bytes)
    return complete
  }

  /** Replaces a stored document. */
  replace (collection: Collection, id: number, before: Document, after: Document): void {
    const bytes = encodeStored(after)
    const changes = collection.indexes.map((index) => this.change(collection, index, before, after, id))
    this.apply(collection, id, changes)
    this.storage.put(recordKey(collection.id, id), bytes)
  }

  /** Deletes a stored document. */
  remove (collection: Collection, id: number, document: Document): void {
    const changes = collection.indexes.map((index) => this.change(collection, index, document, undefined, id))
    this.apply(collection, id, changes)
    this.storage.remove(recordKey(collection.id, id))
  }

  /** Adds the entries of a document that is already stored to a new index; again is harmless. */
  indexRecord (collection: Collection, index: Index, id: number, document: Document): void {
    this.apply(collection, id, [this.change(collection, index, undefined, document, id)])
  }

  private change (
    collection: Collection,
    index: Index,
    before: Document | undefined,
    after: Document | undefined,
    self: number | undefined
  ): IndexChange {
    const old = before === undefined ? undefined : entriesOf(index, before)
    const next = after === undefined ? undefined : entriesOf(index, after)
    const oldKeys = new Set(old?.entries.map(({ key }) => key.toString('latin1')))
    const newKeys = new Set(next?.entries.map(({ key }) => key.toString('latin1')))
    const added = next?.entries.filter(({ key }) => !oldKeys.has(key.toString('latin1'))) ?? []
    const removed = old?.entries.map(({ key }) => key).filter((key) => !newKeys.has(key.toString('latin1'))) ?? []
    if (index.unique) for (const entry of added) this.checkUnique(collection, index, entry, self)
    return {
      index,
      added,
      removed,
      multikey: next?.multikey.filter((path) => !index.multikey.has(path)) ?? [],
      truncated: next?.truncated === true && !index.truncated
    }
  }

  private checkUnique (collection: Collection, index: Index, { key, row }: Entry, self: number | undefined): void {
    const start = Buffer.concat([indexPrefix(index.id), key])
    const others = this.storage.keys({ start, end: successor(start) ?? start, limit: 2 })
    const isTaken = others
      .some((other) => other.length === start.length + RECORD_ID_BYTES && recordIdOf(other) !== self)
    if (!isTaken) return
    const paths = index.fields.map(({ path }) => path)
    const keyValue = Object.fromEntries(paths.map((path, i) => [
      path, row[i] === undefined || typeof row[i] === 'symbol' ? null : row[i]
    ]))
    throw new CommandError(
      11000,
      `E11000 duplicate key error collection: ${collection.namespace} index: ${index.name} dup key: ${shown(keyValue)}`,
      { keyPattern: index.spec.key, keyValue }
    )
  }

  private apply (collection: Collection, id: number, changes: IndexChange[]): void {
    let isNewKind = false
    for (const { index, added, removed, multikey, truncated } of changes) {
      const prefix = indexPrefix(index.id)
      for (const key of removed) this.storage.remove(entryKey(prefix, key, id))
      for (const { key } of added) this.storage.put(entryKey(prefix, key, id))
      for (const path of multikey) index.multikey.add(path)
      index.truncated ||= truncated
      isNewKind ||= multikey.length > 0 || truncated
    }
    if (isNewKind) this.catalog.save(collection)
  }
}

function entryKey (prefix: Buffer, key: Buffer, id: number): Buffer {
  const bytes = Buffer.alloc(prefix.length + key.length + RECORD_ID_BYTES)
  prefix.copy(bytes)
  key.copy(bytes, prefix.length)
  bytes.writeUIntBE(id, bytes.length - RECORD_ID_BYTES, RECORD_ID_BYTES)
  return bytes
}

function withoutId ({ _id, ...rest }: Document): Document {
  return rest
}

function checkId (id: unknown): void {
  if (Array.isArray(id)) throw new CommandError(2, "The '_id' value cannot be of type array")
  if (id instanceof BSONRegExp) throw new CommandError(2, "The '_id' value cannot be of type regex")
  if (id === undefined) throw new CommandError(2, "The '_id' value cannot be of type undefined")
  if (isDocument(id) && Object.keys(id).some((key) => key.startsWith('$'))) {
    throw new CommandError(52, "The dollar ($) prefixed field in '_id' is not valid for storage")
  }
}

function entriesOf (index: Index, document: Document): { entries: Entry[], multikey: string[], truncated: boolean } {
  const nothing = { entries: [], multikey: [], truncated: false }
  if (index.partial?.test(document) === false) return nothing
  const { rows, multikey, absent } = documentKeys(document, index.fields.map(({ parts }) => parts))
  if (index.sparse && absent) return nothing
  const directions = index.fields.map(({ direction }) => direction)
  const entries = new Map<string, Entry>()
  let truncated = false
  for (const row of rows) {
    const full = encodeKey(row, directions)
    const key = storedKey(full)
    truncated ||= isTooLong(full)
    entries.set(key.toString('latin1'), { key, row })
  }
  const arrays = index.fields.filter((_, i) => multikey[i]).map(({ path }) => path)
  return { entries: [...entries.values()], multikey: arrays, truncated }
}

/** A key as MongoDB's message shows it. */
function shown (value: unknown): string {
  if (Array.isArray(value)) return `[ ${value.map(shown).join(', ')} ]`
  if (isDocument(value)) return `{ ${Object.entries(value).map(([key, one]) => `${key}: ${shown(one)}`).join(', ')} }`
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof ObjectId) return `ObjectId('${value.toHexString()}')`
  if (value instanceof Date) return `new Date(${value.getTime()})`
  return String(value)
}

/** Decodes what a scan found, once. */
export function documentOf (found: { bytes: Buffer, document?: Document }): Document {
  found.document ??= decode(found.bytes)
  return found.document
}
