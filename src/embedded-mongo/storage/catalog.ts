import { CommandError } from '../errors.ts'
import { compileFilter, type Filter } from '../query/matcher.ts'
import { type Storage } from './storage.ts'
import { decode, encode, isDocument, isNumeric, toNumber, type Document } from '../values/values.ts'

/** A field of an index: its path and 1 (ascending) or -1. */
export interface IndexField {
  path: string
  parts: readonly string[]
  direction: 1 | -1
}

/** An index as the planner and the writer use it. */
export interface Index {
  id: number
  name: string
  /** The specification as listIndexes shows it. */
  spec: Document
  fields: readonly IndexField[]
  unique: boolean
  sparse: boolean
  partial: Filter | undefined
  expireAfterSeconds: number | undefined
  /** Paths for which an array has been stored. */
  multikey: Set<string>
  /** A key was cut: entries are no longer in exact order. */
  truncated: boolean
  /** Still being filled: kept up to date, not used. */
  building: boolean
}

/** A collection and its indexes; `_id_` is the first. */
export interface Collection {
  id: number
  database: string
  name: string
  namespace: string
  options: Document
  indexes: Index[]
  nextRecordId: number
}

const TAG = { collection: 0x01, dropped: 0x02, sequence: 0x03, record: 0x10, index: 0x20 } as const
const SEQUENCE_KEY = Buffer.from([TAG.sequence])
const MAX_NAMESPACE_BYTES = 255

/** What exists: databases, collections and index specifications, kept in memory and written through. */
export class Catalog {
  private readonly storage: Storage
  private collections = new Map<string, Collection>()
  private sequence = 0

  constructor (storage: Storage) {
    this.storage = storage
    this.load()
  }

  /** Reads everything again, after a transaction was rolled back. */
  load (): void {
    this.collections = new Map()
    this.sequence = this.storage.get(SEQUENCE_KEY)?.readUInt32BE(0) ?? 0
    const range = { start: Buffer.from([TAG.collection]), end: Buffer.from([TAG.collection + 1]) }
    for (const { value } of this.storage.entries(range)) {
      const collection = collectionOf(decode(value, 200), this.storage)
      this.collections.set(collection.namespace, collection)
    }
  }

  find (namespace: string): Collection | undefined {
    return this.collections.get(namespace)
  }

  /** The collection, or NamespaceNotFound. */
  get (namespace: string): Collection {
    const collection = this.collections.get(namespace)
    if (collection === undefined) throw new CommandError(26, `ns does not exist: ${namespace}`)
    return collection
  }

  inDatabase (database: string): Collection[] {
    return this.all().filter((collection) => collection.database === database)
  }

  /** All collections by namespace. */
  all (): Collection[] {
    return [...this.collections.values()].sort((a, b) => a.namespace < b.namespace ? -1 : 1)
  }

  /** The collection, made when absent (as MongoDB does at the first write). Only inside a transaction. */
  ensure (database: string, name: string, options: Document = {}): Collection {
    const namespace = `${database}.${name}`
    const existing = this.collections.get(namespace)
    if (existing !== undefined) return existing
    checkNamespace(database, name)
    const collection: Collection = {
      id: this.nextId(),
      database,
      name,
      namespace,
      options,
      indexes: [],
      nextRecordId: 1
    }
    collection.indexes.push(indexOf({ v: 2, key: { _id: 1 }, name: '_id_' }, this.nextId()))
    this.collections.set(namespace, collection)
    this.save(collection)
    return collection
  }

  /** Adds an index that is still to be filled. Only inside a transaction. */
  addIndex (collection: Collection, spec: Document): Index {
    const index = indexOf(spec, this.nextId())
    index.building = true
    collection.indexes.push(index)
    this.save(collection)
    return index
  }

  removeIndex (collection: Collection, index: Index): void {
    collection.indexes = collection.indexes.filter((other) => other !== index)
    this.save(collection)
    this.markDropped(indexPrefix(index.id))
  }

  remove (collection: Collection): void {
    this.collections.delete(collection.namespace)
    this.storage.remove(collectionKey(collection.namespace))
    this.markDropped(recordPrefix(collection.id))
    for (const index of collection.indexes) this.markDropped(indexPrefix(index.id))
  }

  /** Writes a collection's entry. Only inside a transaction. */
  save (collection: Collection): void {
    this.storage.put(collectionKey(collection.namespace), encode({
      id: collection.id,
      database: collection.database,
      name: collection.name,
      options: collection.options,
      indexes: collection.indexes.map((index) => ({
        id: index.id,
        spec: index.spec,
        multikey: [...index.multikey],
        truncated: index.truncated,
        building: index.building
      }))
    }))
  }

  /** Key prefixes whose entries belong to nothing any more; the purge removes them in the background. */
  dropped (): Buffer[] {
    const range = { start: Buffer.from([TAG.dropped]), end: Buffer.from([TAG.dropped + 1]) }
    return this.storage.keys(range).map((key) => key.subarray(1))
  }

  /** Forgets a purged prefix. Only inside a transaction. */
  purged (prefix: Buffer): void {
    this.storage.remove(Buffer.concat([Buffer.from([TAG.dropped]), prefix]))
  }

  private markDropped (prefix: Buffer): void {
    this.storage.put(Buffer.concat([Buffer.from([TAG.dropped]), prefix]))
  }

  private nextId (): number {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(++this.sequence)
    this.storage.put(SEQUENCE_KEY, bytes)
    return this.sequence
  }
}

function collectionKey (namespace: string): Buffer {
  return Buffer.concat([Buffer.from([TAG.collection]), Buffer.from(namespace)])
}

function prefixed (tag: number, id: number): Buffer {
  const prefix = Buffer.alloc(5)
  prefix[0] = tag
  prefix.writeUInt32BE(id, 1)
  return prefix
}

/** What the keys of a collection's documents start with. */
export function recordPrefix (collectionId: number): Buffer {
  return prefixed(TAG.record, collectionId)
}

/** What the keys of an index's entries start with. */
export function indexPrefix (indexId: number): Buffer {
  return prefixed(TAG.index, indexId)
}

/** Bytes of a record id at the end of a key. */
export const RECORD_ID_BYTES = 6

/** The key of a document. */
export function recordKey (collectionId: number, recordId: number): Buffer {
  const key = Buffer.alloc(5 + RECORD_ID_BYTES)
  key[0] = TAG.record
  key.writeUInt32BE(collectionId, 1)
  key.writeUIntBE(recordId, 5, RECORD_ID_BYTES)
  return key
}

/** The record id at the end of a record's or an index entry's key. */
export function recordIdOf (key: Buffer): number {
  return key.readUIntBE(key.length - RECORD_ID_BYTES, RECORD_ID_BYTES)
}

function checkNamespace (database: string, name: string): void {
  if (name === '' || name.startsWith('.') || name.includes('$') || name.includes('\0')) {
    throw new CommandError(73, `Invalid namespace specified '${database}.${name}'`)
  }
  if (Buffer.byteLength(database) + 1 + Buffer.byteLength(name) > MAX_NAMESPACE_BYTES) {
    throw new CommandError(73, `Fully qualified namespace is too long. Max: ${MAX_NAMESPACE_BYTES}`)
  }
}

function collectionOf (stored: Document, storage: Storage): Collection {
  const { id, database, name, options, indexes } = stored as {
    id: number, database: string, name: string, options: Document, indexes: Document[]
  }
  const start = recordPrefix(id)
  const [last] = storage.keys({ start, end: recordPrefix(id + 1), reverse: true, limit: 1 })
  return {
    id,
    database,
    name,
    namespace: `${database}.${name}`,
    options,
    indexes: indexes.map((index) => storedIndex(index)),
    nextRecordId: last === undefined ? 1 : recordIdOf(last) + 1
  }
}

function storedIndex (stored: Document): Index {
  const { id, spec, multikey, truncated, building } = stored as {
    id: number, spec: Document, multikey: string[], truncated: boolean, building: boolean
  }
  return { ...indexOf(spec, id), multikey: new Set(multikey), truncated, building }
}

function indexOf (spec: Document, id: number): Index {
  const { key, name, unique, sparse, partialFilterExpression: filter, expireAfterSeconds: seconds } = spec
  return {
    id,
    name: String(name),
    spec,
    fields: Object.entries(key as Document).map(([path, direction]) => ({
      path,
      parts: path.split('.'),
      direction: isNumeric(direction) && toNumber(direction) < 0 ? -1 : 1
    })),
    unique: unique === true || name === '_id_',
    sparse: sparse === true,
    partial: isDocument(filter) ? compileFilter(filter) : undefined,
    expireAfterSeconds: isNumeric(seconds) ? toNumber(seconds) : undefined,
    multikey: new Set(),
    truncated: false,
    building: false
  }
}
