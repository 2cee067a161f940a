import { type ObjectId, type Collection, type Db, type Filter } from 'mongodb'
import { newId, parseId } from './ids.ts'
import { wrongCursor, type PageOf, type PageRequest } from './page.ts'

export interface ApiKey {
  readonly id: string
  /** The public part of the key, `pk_<8>`, by which it is found. */
  readonly prefix: string
  readonly tenantId: string
  readonly name: string
  readonly scopes: string[]
  readonly createdAt: Date
  /** Who made it, as the audit log names them. */
  readonly createdBy?: string
  readonly expiresAt?: Date
  readonly revokedAt?: Date
  /** To the minute. */
  readonly lastUsedAt?: Date
  /** Where the limit of everybody is not that of this key. */
  readonly requestsPerMinute?: number
  /** Given by the environment, which also renews it. */
  readonly isGiven?: boolean
}

const KEPT_REVOKED_SECONDS = 90 * 86_400

/** SHA-256 of the whole key; the key itself is stored nowhere. */
interface Hashes {
  readonly hash: string
  /** What it was before it was rotated, and how long that counts. */
  readonly previous?: { readonly hash: string, readonly until: Date }
}

export interface StoredApiKey extends ApiKey, Hashes {}

export type NewApiKey = Omit<ApiKey, 'id' | 'revokedAt' | 'lastUsedAt'>

interface ApiKeyDocument extends Omit<ApiKey, 'id' | 'prefix'>, Hashes {
  _id: string
  id: ObjectId
}

function fromDocument ({ _id, id, ...rest }: ApiKeyDocument): StoredApiKey {
  return { id: id.toHexString(), prefix: _id, ...rest }
}

/** What a key is for those who must not see its hashes. */
function withoutHashes (document: ApiKeyDocument): ApiKey {
  const { hash: _hash, previous: _previous, ...key } = fromDocument(document)
  return key
}

/** The collection `apiKeys`. */
export class ApiKeyRepository {
  readonly #collection: Collection<ApiKeyDocument>

  constructor (db: Db) {
    this.#collection = db.collection('apiKeys')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      // Keys of earlier versions get their identifier after the indexes are made.
      { key: { id: 1 }, unique: true, partialFilterExpression: { id: { $exists: true } } },
      { key: { tenantId: 1, id: -1 } },
      // Not those that the environment gives: forgotten, they would come back with the next start.
      { key: { revokedAt: 1 }, expireAfterSeconds: KEPT_REVOKED_SECONDS, partialFilterExpression: { isGiven: false } }
    ])
  }

  async findByPrefix (prefix: string): Promise<StoredApiKey | undefined> {
    return await this.#find({ _id: prefix })
  }

  /** Of whatever tenant. */
  async findById (id: string): Promise<StoredApiKey | undefined> {
    return await this.#find({ id: parseId(id)! })
  }

  async find (tenantId: string, id: string): Promise<ApiKey | undefined> {
    const document = await this.#collection.findOne({ tenantId, id: parseId(id)! })
    return document ? withoutHashes(document) : undefined
  }

  /** Those of a tenant, the newest first. */
  async page (tenantId: string, { limit, cursor }: PageRequest): Promise<PageOf<ApiKey>> {
    const after = cursor === undefined ? undefined : parseId(cursor)
    if (cursor !== undefined && !after) throw wrongCursor()
    const documents = await this.#collection
      .find({ tenantId, ...(after && { id: { $lt: after } }) }).sort({ id: -1 }).limit(limit + 1).toArray()
    const data = documents.slice(0, limit).map(withoutHashes)
    return { data, nextCursor: documents.length > limit ? data.at(-1)!.id : null }
  }

  async insert ({ prefix, ...key }: NewApiKey, hash: string): Promise<ApiKey> {
    const document: ApiKeyDocument = { _id: prefix, id: parseId(newId())!, ...key, hash }
    await this.#collection.insertOne(document)
    return withoutHashes(document)
  }

  async countLiving (tenantId: string): Promise<number> {
    return await this.#collection.countDocuments({ tenantId, revokedAt: { $exists: false } })
  }

  /** Stores a key that is given from outside. What has happened to it meanwhile, such as that it was revoked, stays. */
  async upsert ({ prefix, createdAt, ...key }: NewApiKey, hash: string): Promise<void> {
    await this.#collection.updateOne({ _id: prefix }, {
      $set: { ...key, hash }, $setOnInsert: { id: parseId(newId())!, createdAt }
    }, { upsert: true })
  }

  /** Gives a key another secret; the one before it counts until a time. Undefined: there is no such key, or it is revoked. */
  async rotate (tenantId: string, id: string, hash: string, until: Date): Promise<ApiKey | undefined> {
    const document = await this.#collection.findOneAndUpdate(
      { tenantId, id: parseId(id)!, revokedAt: { $exists: false } },
      [{ $set: { hash, previous: { hash: '$hash', until } } }],
      { returnDocument: 'after' }
    )
    return document ? withoutHashes(document) : undefined
  }

  /** What was revoked before keeps its date. */
  async revoke (tenantId: string, id: string, now: Date): Promise<void> {
    await this.#collection.updateOne({ tenantId, id: parseId(id)!, revokedAt: { $exists: false } }, {
      $set: { revokedAt: now }, $unset: { previous: true }
    })
  }

  /** It has been used just now. */
  async touch (id: string): Promise<void> {
    await this.#collection.updateOne({ id: parseId(id)! }, { $currentDate: { lastUsedAt: true } })
  }

  async any (): Promise<boolean> {
    return await this.#collection.findOne({}, { projection: { _id: 1 } }) !== null
  }

  async #find (filter: Filter<ApiKeyDocument>): Promise<StoredApiKey | undefined> {
    const document = await this.#collection.findOne(filter)
    return document ? fromDocument(document) : undefined
  }
}
