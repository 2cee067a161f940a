import { type Collection, type Db, type ObjectId } from 'mongodb'
import { type AuditActor } from './audit-log.ts'
import { type Person } from './erasures.ts'
import { parseId } from './ids.ts'
import { insertNew } from './insert-new.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'

/** What is kept: all of a tenant, all of one of its end users, or one session. */
export type HeldScope = 'tenant' | 'user' | 'session'

/** An order to keep conversations, whatever else would remove them. */
export interface LegalHold {
  readonly id: string
  readonly tenantId: string
  readonly scope: HeldScope
  /** Of the scope `user`; null once they were erased. */
  readonly userId: string | null
  readonly sessionId: string | null
  readonly reason: string
  readonly status: 'active' | 'lifted'
  readonly createdAt: Date
  readonly createdBy: AuditActor
  readonly liftedAt: Date | null
  readonly liftedBy: AuditActor | null
}

/** A session, as far as holds are concerned. */
export interface HoldableSession {
  readonly id: string
  readonly tenantId: string
  readonly configId: string
  readonly userId: string | null
}

interface HoldDocument extends Omit<LegalHold, 'id' | 'sessionId'> {
  _id: ObjectId
  sessionId: ObjectId | null
  /** What must stay because of it, and what cannot be removed without that. Absent once it is lifted. */
  about?: string[]
}

export const ALL = 'tenant'
export const ofSession = (id: string) => `session:${id}`
export const ofUser = (id: string) => `user:${id}`
const withUser = (id: string) => `with-user:${id}`
const withChatbot = (id: string) => `with-config:${id}`

const namesOf = ({ id, userId }: HoldableSession) => [ofSession(id), ...(userId === null ? [] : [ofUser(userId)])]

function toHold ({ _id, sessionId, about: _, ...rest }: HoldDocument): LegalHold {
  return { id: _id.toHexString(), ...rest, sessionId: sessionId?.toHexString() ?? null }
}

/** The collection `legalHolds`. A hold that is lifted stays as a record. */
export class LegalHoldRepository {
  readonly #collection: Collection<HoldDocument>

  constructor (db: Db) {
    this.#collection = db.collection('legalHolds')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { tenantId: 1, createdAt: -1, _id: -1 } },
      { key: { tenantId: 1, about: 1 }, partialFilterExpression: { about: { $exists: true } } },
      { key: { tenantId: 1, userId: 1 }, partialFilterExpression: { userId: { $type: 'string' } } }
    ])
  }

  /** `session`: the one that it keeps. False: there is one with its id already. */
  async insert ({ id, sessionId, ...rest }: LegalHold, session?: HoldableSession): Promise<boolean> {
    const { userId } = rest
    const about = session
      ? [ofSession(session.id), withChatbot(session.configId), ...(session.userId === null ? [] : [withUser(session.userId)])]
      : [userId === null ? ALL : ofUser(userId)]
    return await insertNew(this.#collection, { _id: parseId(id)!, ...rest, sessionId: sessionId === null ? null : parseId(sessionId)!, about })
  }

  async remove (tenantId: string, id: string): Promise<void> {
    await this.#collection.deleteOne({ _id: parseId(id)!, tenantId })
  }

  async find (tenantId: string, id: string): Promise<LegalHold | undefined> {
    const document = await this.#collection.findOne({ _id: parseId(id)!, tenantId })
    return document ? toHold(document) : undefined
  }

  /** Newest first. */
  async page (tenantId: string, status: LegalHold['status'] | undefined, request: PageRequest): Promise<PageOf<LegalHold>> {
    const { data, nextCursor } = await findPage(this.#collection, { tenantId, ...(status && { status }) }, 'createdAt', request)
    return { data: data.map(toHold), nextCursor }
  }

  /** How many are active in a tenant; no more than `limit` are counted. */
  async countActive (tenantId: string, limit: number): Promise<number> {
    return await this.#collection.countDocuments({ tenantId, status: 'active' }, { limit })
  }

  /** False: it is lifted already. */
  async lift (tenantId: string, id: string, by: AuditActor): Promise<boolean> {
    const { matchedCount } = await this.#collection.updateOne(
      { _id: parseId(id)!, tenantId, status: 'active' },
      { $set: { status: 'lifted', liftedBy: by }, $currentDate: { liftedAt: true }, $unset: { about: '' } }
    )
    return matchedCount === 1
  }

  /** Takes the name of a person who is erased out of holds that were lifted. */
  async forget ({ tenantId, userId }: Person): Promise<void> {
    await this.#collection.updateMany({ tenantId, userId, status: 'lifted' }, { $set: { userId: null } })
  }

  async isTenantHeld (tenantId: string): Promise<boolean> {
    return (await this.#active(tenantId, [ALL])).length > 0
  }

  /** Those of some sessions of a tenant that nobody holds. */
  async free<S extends HoldableSession> (tenantId: string, sessions: readonly S[]): Promise<S[]> {
    const held = new Set(await this.#active(tenantId, [ALL, ...sessions.flatMap(namesOf)]))
    return held.has(ALL) ? [] : sessions.filter((session) => !namesOf(session).some((name) => held.has(name)))
  }

  /** Whether anything of a person must stay. */
  async isPersonHeld ({ tenantId, userId }: Person): Promise<boolean> {
    return (await this.#active(tenantId, [ALL, ofUser(userId), withUser(userId)])).length > 0
  }

  /** Whether all of a tenant, or a session with this chatbot, is held by its name. */
  async isChatbotHeld (tenantId: string, configId: string): Promise<boolean> {
    return (await this.#active(tenantId, [ALL, withChatbot(configId)])).length > 0
  }

  /** The names of sessions and end users of a tenant that are held, as deliveries say what they are about. */
  async names (tenantId: string): Promise<string[]> {
    const found = await this.#find({ tenantId, about: { $exists: true } })
    return found.flatMap(({ about = [] }) => about).filter((name) => /^(session|user):/.test(name))
  }

  /** The end users of a tenant who are held. */
  async users (tenantId: string): Promise<string[]> {
    const found = await this.#find({ tenantId, about: { $gte: ofUser(''), $lt: 'user;' } })
    return found.flatMap(({ scope, userId }) => scope === 'user' && userId !== null ? [userId] : [])
  }

  async #active (tenantId: string, names: readonly string[]): Promise<string[]> {
    return (await this.#find({ tenantId, about: { $in: [...names] } })).flatMap(({ about = [] }) => about)
  }

  async #find (filter: Parameters<Collection<HoldDocument>['find']>[0]): Promise<Array<Pick<HoldDocument, 'scope' | 'userId' | 'about'>>> {
    return await this.#collection.find(filter).project<HoldDocument>({ scope: 1, userId: 1, about: 1 }).toArray()
  }
}
