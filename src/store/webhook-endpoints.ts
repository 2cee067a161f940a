import { type Collection, type Db, type ObjectId, type UpdateFilter } from 'mongodb'
import { type KeptSecret, type SecretField } from '../secrets/reencryption.ts'
import { newId, parseId } from './ids.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'

/** Where the secrets of endpoints are sealed for: the old one of a rotation stays as it was sealed. */
const FIELD = 'webhookEndpoints.secret'

/** Why nothing is sent to an endpoint: somebody has said so, it has answered 410, or it has failed for days. */
export type DisabledReason = 'requested' | 'gone' | 'failing'

export interface WebhookEndpoint {
  readonly id: string
  readonly tenantId: string
  readonly url: string
  readonly description: string | null
  /** The types of events that are wanted; none: all. */
  readonly events: readonly string[]
  readonly status: 'enabled' | 'disabled'
  readonly disabledReason: DisabledReason | null
  readonly disabledAt: Date | null
  /** The first failure since the last success. */
  readonly failingSince: Date | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** An endpoint with what its requests are signed with, sealed. */
export interface SigningEndpoint extends WebhookEndpoint {
  readonly secret: string
  /** The secret before it, which signs as well for a while. */
  readonly previous: { readonly secret: string, readonly until: Date } | null
}

interface EndpointDocument extends Omit<SigningEndpoint, 'id'> {
  _id: ObjectId
  /** The last failure that was noted. */
  failedAt?: Date
}

export type EndpointChange = Partial<Pick<WebhookEndpoint, 'url' | 'description' | 'events' | 'status'>>

export const endpointSecret = ({ tenantId, id }: Pick<WebhookEndpoint, 'tenantId' | 'id'>) => ({ tenantId, field: FIELD, documentId: id })

const toSigning = ({ _id, failedAt: _failedAt, ...rest }: EndpointDocument): SigningEndpoint => ({ id: _id.toHexString(), ...rest })

function toEndpoint (document: EndpointDocument): WebhookEndpoint {
  const { secret: _secret, previous: _previous, ...endpoint } = toSigning(document)
  return endpoint
}

const disabled = (reason: DisabledReason, now: Date) => ({ status: 'disabled' as const, disabledReason: reason, disabledAt: now, updatedAt: now })
const enabled = { status: 'enabled' as const, disabledReason: null, disabledAt: null, failingSince: null }

/** The collection `webhookEndpoints`. */
export class WebhookEndpointRepository {
  readonly #collection: Collection<EndpointDocument>

  constructor (db: Db) {
    this.#collection = db.collection('webhookEndpoints')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { tenantId: 1, createdAt: -1, _id: -1 } }, { key: { updatedAt: 1 } }])
  }

  /** `seal` makes what is stored of the secret, for the place where it is stored. */
  async insert (
    given: Pick<WebhookEndpoint, 'tenantId' | 'url' | 'description' | 'events' | 'status'>, seal: (id: string) => string, now: Date
  ): Promise<WebhookEndpoint> {
    const id = newId()
    const document: EndpointDocument = {
      _id: parseId(id)!,
      ...given,
      ...enabled,
      ...(given.status === 'disabled' && disabled('requested', now)),
      createdAt: now,
      updatedAt: now,
      secret: seal(id),
      previous: null
    }
    await this.#collection.insertOne(document)
    return toEndpoint(document)
  }

  async count (tenantId: string): Promise<number> {
    return await this.#collection.countDocuments({ tenantId })
  }

  async find (tenantId: string, id: string): Promise<WebhookEndpoint | undefined> {
    const document = await this.#collection.findOne({ _id: parseId(id)!, tenantId })
    return document ? toEndpoint(document) : undefined
  }

  async findSigning (tenantId: string, id: string): Promise<SigningEndpoint | undefined> {
    const document = await this.#collection.findOne({ _id: parseId(id)!, tenantId })
    return document ? toSigning(document) : undefined
  }

  /** The newest first. */
  async page (tenantId: string, request: PageRequest): Promise<PageOf<WebhookEndpoint>> {
    const { data, nextCursor } = await findPage(this.#collection, { tenantId }, 'createdAt', request)
    return { data: data.map(toEndpoint), nextCursor }
  }

  /** Those that were made or changed from some moment on, of all tenants. */
  async changedSince (moment: Date): Promise<WebhookEndpoint[]> {
    return (await this.#collection.find({ updatedAt: { $gte: moment } }).toArray()).map(toEndpoint)
  }

  /** Those that are to be told of events of a type. */
  async wanting (tenantId: string, type: string): Promise<WebhookEndpoint[]> {
    const documents = await this.#collection.find({ tenantId, status: 'enabled' }).toArray()
    return documents.map(toEndpoint).filter(({ events }) => events.length === 0 || events.includes(type))
  }

  /** Who enables it begins anew: what has failed is forgotten. Undefined: there is no such endpoint. */
  async change (tenantId: string, id: string, { status, ...rest }: EndpointChange, now: Date): Promise<WebhookEndpoint | undefined> {
    const _id = parseId(id)!
    if (status === 'disabled') await this.disable(tenantId, id, 'requested', now)
    return await this.#update({ _id, tenantId }, { $set: { ...rest, ...(status === 'enabled' && enabled), updatedAt: now } })
  }

  /** What is disabled already keeps its reason. True: it was not. */
  async disable (tenantId: string, id: string, reason: DisabledReason, now: Date): Promise<boolean> {
    return await this.#update({ _id: parseId(id)!, tenantId, status: 'enabled' }, { $set: disabled(reason, now) }) !== undefined
  }

  /** Gives it another secret; the one before it signs as well until a time. Undefined: there is no such endpoint. */
  async rotate (tenantId: string, id: string, secret: string, until: Date, now: Date): Promise<WebhookEndpoint | undefined> {
    return await this.#update({ _id: parseId(id)!, tenantId }, [{
      $set: { secret: { $literal: secret }, previous: { secret: '$secret', until }, updatedAt: now }
    }])
  }

  /** It has failed. Answers since when, by the store's clock, it has done nothing else, and that clock's time. */
  async noteFailure (tenantId: string, id: string): Promise<{ readonly since: Date, readonly now: Date } | undefined> {
    const document = await this.#collection.findOneAndUpdate(
      { _id: parseId(id)!, tenantId },
      [{ $set: { failingSince: { $ifNull: ['$failingSince', '$$NOW'] }, failedAt: '$$NOW' } }],
      { returnDocument: 'after' }
    )
    return document ? { since: document.failingSince!, now: document.failedAt! } : undefined
  }

  async noteSuccess (tenantId: string, id: string): Promise<void> {
    await this.#collection.updateOne({ _id: parseId(id)!, tenantId }, { $set: { failingSince: null } })
  }

  /** False: there was none. */
  async remove (tenantId: string, id: string): Promise<boolean> {
    const { deletedCount } = await this.#collection.deleteOne({ _id: parseId(id)!, tenantId })
    return deletedCount === 1
  }

  /** What is sealed in these documents, for a change of keys. */
  secretFields (): SecretField[] {
    return ['secret', 'previous.secret'].map((path) => ({
      page: async (afterId, limit) => {
        const after = afterId === undefined ? undefined : parseId(afterId)
        const documents = await this.#collection
          .find({ ...(after && { _id: { $gt: after } }), [path]: { $type: 'string' } }).sort({ _id: 1 }).limit(limit).toArray()
        return documents.map(toSigning).map((endpoint): KeptSecret => ({
          sealed: path === 'secret' ? endpoint.secret : endpoint.previous!.secret, context: endpointSecret(endpoint)
        }))
      },
      replace: async ({ sealed: old, context }, sealed) => {
        await this.#collection.updateOne({ _id: parseId(context.documentId)!, [path]: old }, { $set: { [path]: sealed } })
      }
    }))
  }

  async #update (
    filter: { _id: ObjectId, tenantId: string, status?: 'enabled' }, update: UpdateFilter<EndpointDocument> | UpdateFilter<EndpointDocument>[]
  ): Promise<WebhookEndpoint | undefined> {
    const document = await this.#collection.findOneAndUpdate(filter, update, { returnDocument: 'after' })
    return document ? toEndpoint(document) : undefined
  }
}
