import { type Collection, type Db } from 'mongodb'

export interface ApiKey {
  /** The public part of the key, `pk_<8>`. */
  readonly id: string
  readonly tenantId: string
  readonly name: string
  readonly scopes: string[]
  readonly createdAt: Date
}

interface ApiKeyDocument extends Omit<ApiKey, 'id'> {
  _id: string
  /** SHA-256 of the whole key; the key itself is stored nowhere. */
  hash: string
}

/** The collection `apiKeys`. */
export class ApiKeyRepository {
  readonly #collection: Collection<ApiKeyDocument>

  constructor (db: Db) {
    this.#collection = db.collection('apiKeys')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { tenantId: 1, createdAt: -1 } }])
  }

  async find (id: string): Promise<ApiKey & { hash: string } | undefined> {
    const document = await this.#collection.findOne({ _id: id })
    if (!document) return undefined
    const { _id, ...rest } = document
    return { id: _id, ...rest }
  }

  async upsert ({ id, ...key }: ApiKey, hash: string): Promise<void> {
    await this.#collection.updateOne({ _id: id }, { $set: { ...key, hash } }, { upsert: true })
  }

  async any (): Promise<boolean> {
    return await this.#collection.findOne({}, { projection: { _id: 1 } }) !== null
  }
}
