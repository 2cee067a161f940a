import { type Collection, type Db, type Filter, MongoServerError, type ObjectId } from 'mongodb'
import { type SignatureScheme } from '../../schemas/integration.ts'
import { type SecretField } from '../secrets/reencryption.ts'
import { parseId } from './ids.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'

/** Where a plain HMAC is in a request. */
export interface HmacPlace {
  readonly header: string
  readonly encoding: 'hex' | 'base64'
  readonly prefix: string
}

/** JSON Pointers to what a sender's bodies hold. */
export interface Mapping {
  readonly text: string
  readonly externalUserId: string
  readonly channel?: string
  readonly externalMessageId?: string
  readonly deliveryId?: string
  readonly metadata?: string
}

export interface IntegrationSettings {
  readonly name: string
  readonly configId: string
  readonly hmac: HmacPlace | null
  readonly enabled: boolean
  readonly channel: string
  readonly mapping: Mapping | null
  readonly sessionIdleMinutes: number
  /** Sealed. */
  readonly verifyToken: string | null
}

/** Those of its secrets are sealed. */
export interface Integration extends IntegrationSettings {
  readonly id: string
  readonly tenantId: string
  readonly scheme: SignatureScheme
  readonly secret: string
  /** What the secret was before it was rotated, and how long that counts. */
  readonly previous: { readonly secret: string, readonly until: Date } | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

interface IntegrationDocument extends Omit<Integration, 'id' | 'configId'> {
  _id: ObjectId
  configId: ObjectId
  /** A number below how many a tenant may have: so there are never more of them. */
  place: number
}

const toIntegration = ({ _id, configId, place: _, ...rest }: IntegrationDocument): Integration =>
  ({ id: _id.toHexString(), configId: configId.toHexString(), ...rest })

const toFields = <T extends { configId?: string }>({ configId, ...rest }: T) =>
  ({ ...rest, ...(configId !== undefined && { configId: parseId(configId)! }) })

/** Where a sealed text stands in a document, and the field that it is sealed for. */
export const sealedFields = { secret: 'integrations.secret', 'previous.secret': 'integrations.secret', verifyToken: 'integrations.verifyToken' } as const

/** The collection `integrations`. */
export class IntegrationRepository {
  readonly #collection: Collection<IntegrationDocument>

  constructor (db: Db) {
    this.#collection = db.collection('integrations')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { tenantId: 1, createdAt: -1, _id: -1 } },
      { key: { tenantId: 1, place: 1 }, unique: true },
      { key: { configId: 1 } }
    ])
  }

  /** Adds one where the tenant has fewer than `max`. False: it has not. */
  async insert ({ id, ...integration }: Integration, max: number): Promise<boolean> {
    const { tenantId } = integration
    for (;;) {
      const taken = await this.#collection.find({ tenantId }).project<Pick<IntegrationDocument, 'place'>>({ place: 1 }).limit(max).toArray()
      const places = new Set(taken.map(({ place }) => place))
      const free = Array.from({ length: max }, (_, i) => i).filter((i) => !places.has(i))
      // Any of them, so that those who come at once seldom want the same one.
      const place = free[Math.floor(Math.random() * free.length)]
      if (place === undefined) return false
      try {
        await this.#collection.insertOne({ _id: parseId(id)!, ...toFields(integration), place } as IntegrationDocument)
        return true
      } catch (error) {
        // Somebody else has taken the place.
        if (!(error instanceof MongoServerError) || error.code !== 11000) throw error
      }
    }
  }

  /** Of whatever tenant. */
  async findById (id: string): Promise<Integration | undefined> {
    return await this.#find({ _id: parseId(id)! })
  }

  async find (tenantId: string, id: string): Promise<Integration | undefined> {
    return await this.#find({ _id: parseId(id)!, tenantId })
  }

  /** The newest first. */
  async page (tenantId: string, request: PageRequest): Promise<PageOf<Integration>> {
    const { data, nextCursor } = await findPage(this.#collection, { tenantId }, 'createdAt', request)
    return { data: data.map(toIntegration), nextCursor }
  }

  /** Undefined: there is none. */
  async change (tenantId: string, id: string, change: Partial<IntegrationSettings>, now: Date): Promise<Integration | undefined> {
    const document = await this.#collection.findOneAndUpdate(
      { _id: parseId(id)!, tenantId }, { $set: { ...toFields(change), updatedAt: now } }, { returnDocument: 'after' }
    )
    return document ? toIntegration(document) : undefined
  }

  /** Gives one another secret; the one before it counts until a time. Undefined: there is none. */
  async rotate (tenantId: string, id: string, secret: string, until: Date, now: Date): Promise<Integration | undefined> {
    const document = await this.#collection.findOneAndUpdate(
      { _id: parseId(id)!, tenantId },
      [{ $set: { secret, previous: { secret: '$secret', until }, updatedAt: now } }],
      { returnDocument: 'after' }
    )
    return document ? toIntegration(document) : undefined
  }

  async delete (tenantId: string, id: string): Promise<void> {
    await this.#collection.deleteOne({ _id: parseId(id)!, tenantId })
  }

  /** Removes those of a chatbot that is no more. */
  async removeOfConfig (configId: string): Promise<void> {
    await this.#collection.deleteMany({ configId: parseId(configId)! })
  }

  /** One kind of their secrets, to be sealed anew. */
  sealedField (path: keyof typeof sealedFields): SecretField {
    return {
      page: async (afterId, limit) => {
        const after = afterId === undefined ? {} : { _id: { $gt: parseId(afterId)! } }
        const filter = { ...after, [path]: { $type: 'string' } } as Filter<IntegrationDocument>
        const found = (await this.#collection.find(filter).sort({ _id: 1 }).limit(limit).toArray()).map(toIntegration)
        return found.map(({ id, tenantId, secret, previous, verifyToken }) => ({
          sealed: { secret, 'previous.secret': previous?.secret, verifyToken }[path]!,
          context: { tenantId, field: sealedFields[path], documentId: id }
        }))
      },
      replace: async ({ sealed, context: { tenantId, documentId } }, fresh) => {
        const filter = { _id: parseId(documentId)!, tenantId, [path]: sealed } as Filter<IntegrationDocument>
        await this.#collection.updateOne(filter, { $set: { [path]: fresh } })
      }
    }
  }

  async #find (filter: Filter<IntegrationDocument>): Promise<Integration | undefined> {
    const document = await this.#collection.findOne(filter)
    return document ? toIntegration(document) : undefined
  }
}
