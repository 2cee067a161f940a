import { ObjectId } from 'bson'
import { type Catalog, type Collection } from '../storage/catalog.ts'
import { CommandError } from '../errors.ts'
import { type Variables } from '../aggregation/expressions.ts'
import { type Queries, type Query } from '../query/queries.ts'
import { documentOf, type Records } from '../storage/records.ts'
import { PAUSE, type Found } from '../query/scan.ts'
import { recordKey } from '../storage/catalog.ts'
import { setImmediate } from 'node:timers/promises'
import { type Storage } from '../storage/storage.ts'
import { compileUpdate, upsertSeed, type Update } from './update.ts'
import { decode, getField, type Document } from '../values/values.ts'

/** An update as a command gives it. */
export interface UpdateStatement {
  query: Query
  update: unknown
  multi: boolean
  upsert: boolean
  arrayFilters: unknown
  variables: Variables
  now: Date
}

/** What an update did. */
export interface UpdateResult {
  matched: number
  modified: number
  upsertedId?: unknown
}

/** Before and after of a document that findAndModify touched. */
export interface ModifyResult {
  before: Document | undefined
  after: Document | undefined
  upsertedId?: unknown
}

/** A transaction over many documents ends after this many milliseconds; the next one goes on. */
const SLICE_MS = 20

/** The write operations. Those that say so run inside a transaction; the others make their own. */
export class Writes {
  readonly storage: Storage
  readonly catalog: Catalog
  private readonly records: Records
  private readonly queries: Queries

  constructor (storage: Storage, catalog: Catalog, records: Records, queries: Queries) {
    this.storage = storage
    this.catalog = catalog
    this.records = records
    this.queries = queries
  }

  /** Inside a transaction: adds a document. */
  insert (database: string, name: string, document: Document, raw?: Uint8Array): void {
    this.records.insert(this.catalog.ensure(database, name), document, raw)
  }

  /** Inside a transaction: updates the first match, or upserts. */
  updateOne (database: string, name: string, statement: UpdateStatement): UpdateResult {
    const { before, after, upsertedId } = this.modify(database, name, statement)
    if (upsertedId !== undefined) return { matched: 0, modified: 0, upsertedId }
    return { matched: before === undefined ? 0 : 1, modified: after === undefined ? 0 : 1 }
  }

  /** Inside a transaction: findAndModify's update. `after` is undefined when nothing changed. */
  modify (database: string, name: string, statement: UpdateStatement): ModifyResult {
    const update = compile(statement)
    const collection = this.catalog.find(`${database}.${name}`)
    const found = collection === undefined ? undefined : this.queries.first(collection, statement.query)
    if (collection === undefined || found === undefined) {
      if (!statement.upsert) return { before: undefined, after: undefined }
      const after = this.upsert(database, name, statement, update)
      return { before: undefined, after, upsertedId: after._id }
    }
    const before = documentOf(found)
    const after = this.applyTo(collection, found, update)
    return { before, after }
  }

  private applyTo (collection: Collection, found: Found, update: Update): Document | undefined {
    const before = documentOf(found)
    const after = update.apply(before)
    if (after !== undefined) this.records.replace(collection, found.id, before, after)
    return after
  }

  private upsert (database: string, name: string, { query }: UpdateStatement, update: Update): Document {
    const seed = upsertSeed(query.filter.source, update)
    const document = update.apply(seed, true) ?? seed
    const id = getField(document, '_id') ?? new ObjectId()
    return this.records.insert(this.catalog.ensure(database, name), { ...idFirst(id), ...document })
  }

  /** Inside a transaction: deletes the first match and answers it. */
  deleteOne (namespace: string, query: Query): Document | undefined {
    const collection = this.catalog.find(namespace)
    const found = collection === undefined ? undefined : this.queries.first(collection, query)
    if (collection === undefined || found === undefined) return undefined
    const document = documentOf(found)
    this.records.remove(collection, found.id, document)
    return document
  }

  /** Updates all matches, each document atomically; many are done in several transactions. */
  async updateMany (database: string, name: string, statement: UpdateStatement): Promise<UpdateResult> {
    const namespace = `${database}.${name}`
    const update = compile(statement)
    if (update.isReplacement) throw new CommandError(9, 'multi update is not supported for replacement-style update')
    const result: UpdateResult = { matched: 0, modified: 0 }
    await this.forEachMatch(namespace, statement.query, (collection, found) => {
      result.matched++
      if (this.applyTo(collection, found, update) !== undefined) result.modified++
    })
    if (result.matched > 0 || !statement.upsert) return result
    return this.storage.write(() => {
      const { before, after, upsertedId } = this.modify(database, name, statement)
      return upsertedId === undefined
        ? { matched: before === undefined ? 0 : 1, modified: after === undefined ? 0 : 1 }
        : { matched: 0, modified: 0, upsertedId }
    })
  }

  /** Deletes all matches. */
  async deleteMany (namespace: string, query: Query): Promise<number> {
    let count = 0
    await this.forEachMatch(namespace, query, (collection, found) => {
      this.records.remove(collection, found.id, documentOf(found))
      count++
    })
    return count
  }

  /**
   * First finds the records, then writes them in slices, looking at each again: what an update moves is not met twice,
   * and what somebody else changed meanwhile is judged as it is now.
   */
  private async forEachMatch (
    namespace: string,
    query: Query,
    write: (collection: Collection, found: Found) => void
  ): Promise<void> {
    const ids = await this.matchingIds(namespace, query)
    let at = 0
    while (at < ids.length) {
      await this.storage.write(() => {
        const until = performance.now() + SLICE_MS
        const collection = this.catalog.find(namespace)
        do {
          const found = collection === undefined ? undefined : this.stillMatching(collection, ids[at], query)
          if (collection !== undefined && found !== undefined) write(collection, found)
          at++
        } while (at < ids.length && performance.now() < until)
      })
    }
  }

  private async matchingIds (namespace: string, query: Query): Promise<number[]> {
    const results = this.queries.run(namespace, query)
    const ids: number[] = []
    let until = performance.now() + SLICE_MS
    for (let found = results.next(); found !== undefined; found = results.next()) {
      if (found !== PAUSE) ids.push(found.id)
      else if (performance.now() > until) {
        await setImmediate()
        until = performance.now() + SLICE_MS
      }
    }
    return ids
  }

  private stillMatching (collection: Collection, id: number | undefined, query: Query): Found | undefined {
    const bytes = id === undefined ? undefined : this.storage.get(recordKey(collection.id, id))
    if (id === undefined || bytes === undefined) return undefined
    const document = decode(bytes)
    return query.filter.test(document) ? { id, bytes, document } : undefined
  }
}

function compile ({ query, update, arrayFilters, variables, now }: UpdateStatement): Update {
  return compileUpdate(update, { filter: query.filter.source, arrayFilters, variables, now })
}

function idFirst (id: unknown): Document {
  return { _id: id }
}
