import { type Collection, type Db, type Document, type Filter, type ObjectId } from 'mongodb'
import { parseId } from './ids.ts'
import { insertNew } from './insert-new.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'

/** The right to answer in a session; held by one process at a time, until `leaseUntil` by the store's clock. */
export interface Turn {
  readonly messageId: string
  readonly seq: number
  readonly leaseUntil: Date
  readonly idempotencyKey: string | null
  /** The holder let the lease run out; whoever sees this cleans up, and the holder can no longer renew. */
  readonly lapsed: boolean
}

export type SessionStatus = 'active' | 'ended'

export interface Session {
  readonly id: string
  readonly tenantId: string
  readonly configId: string
  readonly userId: string | null
  readonly channel: string | null
  readonly title: string | null
  readonly metadata: Record<string, unknown>
  /** `deleted`: gone for every reader; its messages are being purged. */
  readonly status: SessionStatus | 'deleted'
  readonly startedAt: Date
  readonly lastActivity: Date
  readonly nextSeq: number
  readonly turn: Turn | null
  /** Those who wait for the turn, the next one first. */
  readonly tickets: readonly string[]
}

export type NewSession = Pick<Session, 'tenantId' | 'configId' | 'userId' | 'channel' | 'title' | 'metadata'>
export type SessionChange = Partial<Pick<Session, 'title' | 'metadata'> & { status: SessionStatus }>

/** Whose sessions are meant: a tenant's, or, where `userId` is given, one user's in it. */
export interface SessionScope {
  readonly tenantId: string
  readonly userId?: string
}

interface TurnDocument extends Omit<Turn, 'messageId'> {
  messageId: ObjectId
}

export interface SessionDocument extends Omit<Session, 'id' | 'configId' | 'turn' | 'tickets'> {
  _id: ObjectId
  configId: ObjectId
  turn: TurnDocument | null
  /** Absent in a session that has not been spoken in. A ticket lapses at `until`. */
  tickets?: Array<{ id: ObjectId, until: Date }>
}

/** A session as it is stored, as the core sees it. */
export function toSession ({ _id, configId, turn, tickets = [], ...rest }: SessionDocument): Session {
  return {
    id: _id.toHexString(),
    configId: configId.toHexString(),
    turn: turn && { ...turn, messageId: turn.messageId.toHexString() },
    tickets: tickets.map(({ id }) => id.toHexString()),
    ...rest
  }
}

/** The status of a session that readers see. */
export const present = { $in: ['active', 'ended'] as SessionStatus[] }

/** The collection `sessions`. A session that is deleted is marked first and purged later. */
export class SessionRepository {
  readonly #collection: Collection<SessionDocument>

  constructor (db: Db) {
    this.#collection = db.collection('sessions')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { tenantId: 1, lastActivity: -1, _id: -1 } },
      { key: { configId: 1, lastActivity: -1, _id: -1 } },
      { key: { tenantId: 1, userId: 1, lastActivity: -1, _id: -1 } },
      { key: { status: 1 }, partialFilterExpression: { status: 'deleted' } }
    ])
  }

  /** Undefined: there is one with this id already. */
  async insert (id: string, session: NewSession, now: Date): Promise<Session | undefined> {
    const document: SessionDocument = {
      _id: parseId(id)!,
      ...session,
      configId: parseId(session.configId)!,
      status: 'active',
      startedAt: now,
      lastActivity: now,
      nextSeq: 1,
      turn: null
    }
    return await insertNew(this.#collection, document) ? toSession(document) : undefined
  }

  async find (scope: SessionScope, id: string): Promise<Session | undefined> {
    const _id = parseId(id)
    const document = _id && await this.#collection.findOne({ _id, ...scope, status: present })
    return document ? toSession(document) : undefined
  }

  async page (scope: SessionScope & { configId?: string }, request: PageRequest): Promise<PageOf<Session>> {
    const { configId, ...rest } = scope
    const filter: Filter<SessionDocument> = { ...rest, status: present }
    if (configId !== undefined) filter.configId = parseId(configId)!
    const { data, nextCursor } = await findPage(this.#collection, filter, 'lastActivity', request)
    return { data: data.map(toSession), nextCursor }
  }

  async change (scope: SessionScope, id: string, change: SessionChange): Promise<Session | undefined> {
    const _id = parseId(id)
    // An empty $set is refused by servers before MongoDB 5; the status that is there anyway stands in for it.
    if (Object.keys(change).length === 0) return await this.find(scope, id)
    const document = _id && await this.#collection.findOneAndUpdate(
      { _id, ...scope, status: present }, { $set: change }, { returnDocument: 'after' }
    )
    return document ? toSession(document) : undefined
  }

  /** Hides a session from every reader and lets no new turn begin. False: there is none. */
  async markDeleted (scope: SessionScope, id: string): Promise<boolean> {
    const _id = parseId(id)
    if (!_id) return false
    const { matchedCount } = await this.#collection.updateOne({ _id, ...scope, status: present }, { $set: { status: 'deleted' } })
    return matchedCount === 1
  }

  /** Marks up to `limit` sessions of a chatbot as deleted. Tells whether there were any. */
  async markDeletedOf (configId: string, limit: number): Promise<boolean> {
    const found = await this.#ids({ configId: parseId(configId)!, status: present }, limit)
    if (found.length > 0) await this.#collection.updateMany({ _id: { $in: found } }, { $set: { status: 'deleted' } })
    return found.length > 0
  }

  /** Whether sessions of a chatbot are still stored, marked ones included. */
  async anyOf (configId: string): Promise<boolean> {
    return (await this.#ids({ configId: parseId(configId)! }, 1)).length > 0
  }

  /** Sessions that are marked as deleted and still there. */
  async deleted (limit: number): Promise<string[]> {
    return (await this.#ids({ status: 'deleted' }, limit)).map((id) => id.toHexString())
  }

  /** Removes a session that is marked as deleted. */
  async purge (id: string): Promise<void> {
    await this.#collection.deleteOne({ _id: parseId(id)!, status: 'deleted' })
  }

  async #ids (filter: Filter<SessionDocument>, limit: number): Promise<ObjectId[]> {
    const found = await this.#collection.find(filter).project<Document & { _id: ObjectId }>({ _id: 1 }).limit(limit).toArray()
    return found.map(({ _id }) => _id)
  }
}
