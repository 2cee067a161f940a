import { type Collection, type Db } from 'mongodb'
import { insertNew } from './insert-new.ts'

// What is promised is 24 hours; the clock of the process that writes a record may be off.
const KEPT_SECONDS = 25 * 3600

/** The first answer to a request, as it was sent. */
export interface StoredAnswer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
}

/** What an idempotency key stands for. */
export interface IdempotencyRecord {
  /** Made of the key and of everything that it is bound to. */
  readonly id: string
  /** The body that it came with. */
  readonly requestHash: string
  /** The id of what the request creates; a repeat finds by it what an earlier attempt has made. */
  readonly resourceId: string
  readonly createdAt: Date
  /** A request with it was refused and made nothing: it may come with another body. */
  readonly released: boolean
  /** Stands for the person that it is about; null: it is about nobody. */
  readonly subject: string | null
  /** Null: no request with it has got as far as its answer. */
  readonly answer: StoredAnswer | null
}

interface RecordDocument extends Omit<IdempotencyRecord, 'id'> {
  _id: string
}

const toDocument = ({ id, ...rest }: IdempotencyRecord): RecordDocument => ({ _id: id, ...rest })

/** The collection `idempotencyRecords`. Its documents go by themselves. */
export class IdempotencyRepository {
  readonly #collection: Collection<RecordDocument>

  constructor (db: Db) {
    this.#collection = db.collection('idempotencyRecords')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { createdAt: 1 }, expireAfterSeconds: KEPT_SECONDS },
      { key: { subject: 1 } }
    ])
  }

  /** False: there is a record with this id already. */
  async insert (record: IdempotencyRecord): Promise<boolean> {
    return await insertNew(this.#collection, toDocument(record))
  }

  async find (id: string): Promise<IdempotencyRecord | undefined> {
    const document = await this.#collection.findOne({ _id: id })
    if (!document) return undefined
    const { _id, ...rest } = document
    return { id: _id, ...rest }
  }

  /** Binds a released key anew. False: it is not released any more. */
  async rebind (record: IdempotencyRecord): Promise<boolean> {
    const { matchedCount } = await this.#collection.replaceOne({ _id: record.id, released: true }, toDocument(record))
    return matchedCount === 1
  }

  /** Keeps the answer of the request that was first to have one. */
  async keep ({ id, resourceId }: IdempotencyRecord, answer: StoredAnswer): Promise<void> {
    await this.#collection.updateOne({ _id: id, resourceId, answer: null }, { $set: { answer, released: false } })
  }

  async release ({ id, resourceId }: IdempotencyRecord): Promise<void> {
    await this.#collection.updateOne({ _id: id, resourceId, answer: null }, { $set: { released: true } })
  }

  /** Removes what is about a person. */
  async erase (subject: string): Promise<void> {
    await this.#collection.deleteMany({ subject })
  }
}
