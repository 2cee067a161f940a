import { type Db, type Document } from 'mongodb'
import { exactly, type RawDocument } from './raw-documents.ts'
import { unfinishedRestores } from './unfinished.ts'

/** What is another in a database that was restored, by collection. */
const mended: Readonly<Record<string, (document: Document) => Document>> = {
  // The search index is made anew, from the first message on.
  sessions: ({ indexedSeq: _, ...session }) => ({ ...session, unindexed: true }),
  // What was used is summed up from the ledger, and nobody is left who would give a reservation back.
  quotaCounters: (counter) => ({ ...counter, stale: true, reservations: [] })
}

/** Puts the documents of a backup into a database. */
export class RestoreWriter {
  readonly #db: Db

  constructor (db: Db) {
    this.#db = db
  }

  /** Whether there is something in the database that is no half of a backup. */
  async isInUse (): Promise<boolean> {
    const names = await this.#names()
    return names.length > 0 && await unfinishedRestores(this.#db).findOne({ _id: 'running' }) === null
  }

  /** Empties the database, which is marked first: from now on, nobody takes it for a whole one. */
  async begin (): Promise<void> {
    const running = unfinishedRestores(this.#db)
    await running.updateOne({ _id: 'running' }, { $set: { startedAt: new Date() } }, { upsert: true })
    for (const name of await this.#names()) if (name !== running.collectionName) await this.#db.dropCollection(name)
  }

  async insert (collection: string, documents: readonly RawDocument[]): Promise<void> {
    const mend = mended[collection] ?? ((document) => document)
    await this.#db.collection(collection).insertMany(documents.map((raw) => mend(exactly(raw))), { ordered: false })
  }

  /** Takes the mark away. */
  async finish (): Promise<void> {
    // What an erasure removes that is not in the backup is removed like all that is deleted.
    const running = await this.#db.collection('erasures').find<Document>({ status: 'running' }, { projection: { _id: 0, tenantId: 1, userId: 1 } }).toArray()
    const unknown = running.length > 0 ? { $nor: running } : {}
    await this.#db.collection('sessions').updateMany({ erasing: true, ...unknown }, { $unset: { erasing: '' } })
    await unfinishedRestores(this.#db).drop()
  }

  async #names (): Promise<string[]> {
    const found = await this.#db.listCollections({}, { nameOnly: true }).toArray()
    return found.map(({ name }) => name).filter((name) => !name.startsWith('system.'))
  }
}
