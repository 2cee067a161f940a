import { type Catalog, type Collection, type Index, recordIdOf, recordPrefix } from './catalog.ts'
import { CommandError } from '../errors.ts'
import { type Records } from './records.ts'
import { type Storage } from './storage.ts'
import { decode, type Document } from '../values/values.ts'

/** Documents indexed in one transaction. */
const SLICE_DOCUMENTS = 500

/** Builds indexes on data that is there already, in slices, so that others can read and write meanwhile. */
export class IndexBuilds {
  private readonly storage: Storage
  private readonly catalog: Catalog
  private readonly records: Records
  private readonly running = new Map<Index, Promise<void>>()

  constructor (storage: Storage, catalog: Catalog, records: Records) {
    this.storage = storage
    this.catalog = catalog
    this.records = records
  }

  /** Makes an index; resolves when it serves queries. Throws CommandError 11000 when the data has duplicates. */
  async build (collection: Collection, spec: Document): Promise<void> {
    const index = await this.storage.write(() => {
      this.checkPresent(collection)
      return this.catalog.addIndex(collection, spec)
    })
    const work = this.fill(collection, index)
    this.running.set(index, work)
    try {
      await work
    } catch (error) {
      await this.storage.write(() => this.abandon(collection.namespace, index))
      throw error
    } finally {
      this.running.delete(index)
    }
  }

  /** Resolves when a build that somebody else started has ended, whichever way. */
  async finished (index: Index): Promise<void> {
    await this.running.get(index)
  }

  /** After a crash: an index that was being built is not complete. */
  async removeUnfinished (): Promise<void> {
    for (const collection of this.catalog.all()) {
      for (const index of collection.indexes.filter(({ building }) => building)) {
        await this.storage.write(() => this.catalog.removeIndex(collection, index))
      }
    }
  }

  /** Dropped, or read anew after a rollback: the collection in hand must not be saved any more. */
  private checkPresent (collection: Collection): void {
    if (this.catalog.find(collection.namespace) !== collection) {
      throw new CommandError(26, `collection ${collection.namespace} was dropped while an index was built`)
    }
  }

  private abandon (namespace: string, { id }: Index): void {
    const collection = this.catalog.find(namespace)
    const index = collection?.indexes.find((other) => other.id === id)
    if (collection !== undefined && index !== undefined) this.catalog.removeIndex(collection, index)
  }

  private async fill (collection: Collection, index: Index): Promise<void> {
    let start = recordPrefix(collection.id)
    const end = recordPrefix(collection.id + 1)
    let isDone = false
    while (!isDone) {
      await this.storage.write(() => {
        this.checkPresent(collection)
        if (!collection.indexes.includes(index)) {
          throw new CommandError(27, `index ${index.name} was dropped while it was built`)
        }
        const entries = this.storage.entries({ start, end, limit: SLICE_DOCUMENTS })
        const documents = entries.map(({ key, value }) => ({ id: recordIdOf(key), document: decode(value) }))
        // A duplicate ends the build; the slices before it go with the index.
        for (const { id, document } of documents) this.records.indexRecord(collection, index, id, document)
        start = Buffer.concat([entries.at(-1)?.key ?? start, Buffer.alloc(1)])
        isDone = entries.length < SLICE_DOCUMENTS
        if (isDone) {
          index.building = false
          this.catalog.save(collection)
        }
      })
    }
  }
}
