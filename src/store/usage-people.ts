import { MongoServerError, type Collection, type Db } from 'mongodb'
import { type Person } from './erasures.ts'
import { newId } from './ids.ts'

interface PersonDocument extends Person {
  /** Stands for the person in the ledger. Made up, so that nobody can tell the one from the other without this document. */
  _id: string
}

/** The collection `usagePeople`: who is meant in the ledger. An erasure removes its person from here. */
export class UsagePeopleRepository {
  readonly #collection: Collection<PersonDocument>

  constructor (db: Db) {
    this.#collection = db.collection('usagePeople')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { tenantId: 1, userId: 1 }, unique: true }])
  }

  /** What stands for a person, if anything does. */
  async find ({ tenantId, userId }: Person): Promise<string | undefined> {
    return (await this.#collection.findOne({ tenantId, userId }))?._id
  }

  /** What stands for a person from now on. */
  async name ({ tenantId, userId }: Person): Promise<string> {
    for (;;) {
      try {
        const document = await this.#collection.findOneAndUpdate(
          { tenantId, userId }, { $setOnInsert: { _id: newId() } }, { upsert: true, returnDocument: 'after' }
        )
        // SecantusDB 0.7 answers nothing where somebody else has named them at the same moment, MongoDB an error.
        if (document) return document._id
      } catch (error) {
        if (!(error instanceof MongoServerError) || error.code !== 11000) throw error
      }
    }
  }

  /** Who is meant, as far as they are still known. */
  async known (tenantId: string, pseudonyms: readonly string[]): Promise<Map<string, string>> {
    const found = await this.#collection.find({ _id: { $in: [...pseudonyms] }, tenantId }).toArray()
    return new Map(found.map(({ _id, userId }) => [_id, userId]))
  }

  /** From now on nobody can tell who was meant. */
  async forget ({ tenantId, userId }: Person): Promise<void> {
    await this.#collection.deleteOne({ tenantId, userId })
  }
}
