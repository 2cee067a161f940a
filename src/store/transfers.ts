import { type Collection, type Db, type Document, type Filter, MongoBulkWriteError, type ObjectId } from 'mongodb'
import { toBranchDocument } from './branches.ts'
import { parseId } from './ids.ts'
import { type Message, type MessageDocument, toDocument, toMessage } from './message.ts'
import { hidden, present, type Session, type SessionDocument, type SessionScope, toSession } from './sessions.ts'

/** A session that is to be as it was elsewhere. */
export type MovedSession = Omit<Session, 'log' | 'turn' | 'tickets'>

/** What is known of a session that is there already. */
export interface Place {
  readonly tenantId: string
  readonly isPresent: boolean
  readonly nextSeq: number
  readonly clearedSeq: number
}

/** Which sessions are to be read. */
export interface TransferScope extends SessionScope {
  readonly configId?: string
}

const objectIds = (ids: Iterable<string>) => Array.from(ids, (id) => parseId(id)!)
const isTwin = ({ code }: { code: number }) => code === 11000
const orNull = (id: string | null) => id === null ? null : parseId(id)!

function toSessionDocument (session: MovedSession): SessionDocument {
  const { id, configId, branchId, branches, tipId, titleFrom, upkeep, ...rest } = session
  return {
    _id: parseId(id)!,
    ...rest,
    configId: parseId(configId)!,
    branchId: orNull(branchId),
    branches: branches.map(toBranchDocument),
    tipId: orNull(tipId),
    titleFrom: [...titleFrom],
    ...(upkeep && { upkeep }),
    turn: null,
    unindexed: true
  }
}

/** Reading conversations in an order that never changes, and writing them as they were elsewhere. */
export class TransferRepository {
  readonly #sessions: Collection<SessionDocument>
  readonly #messages: Collection<MessageDocument>

  constructor (db: Db) {
    this.#sessions = db.collection('sessions')
    this.#messages = db.collection('messages')
  }

  async createIndexes (): Promise<void> {
    await this.#sessions.createIndexes([{ key: { tenantId: 1, _id: 1 } }])
  }

  /** Sessions that readers see, by id, after one of them. */
  async sessions (scope: TransferScope, after: string | undefined, limit: number): Promise<Session[]> {
    const { configId, ...rest } = scope
    const filter: Filter<SessionDocument> = {
      ...rest,
      ...(configId !== undefined && { configId: parseId(configId)! }),
      status: present,
      ...(after !== undefined && { _id: { $gt: parseId(after)! } })
    }
    return (await this.#sessions.find(filter).sort({ _id: 1 }).limit(limit).toArray()).map(toSession)
  }

  /** The chatbots of a user's sessions. */
  async configsOf (scope: SessionScope): Promise<Set<string>> {
    const ids: ObjectId[] = await this.#sessions.distinct('configId', { ...scope, status: present })
    return new Set(ids.map((id) => id.toHexString()))
  }

  /** Messages of all lines of a session, by `seq`, after one and before another. */
  async messages (sessionId: string, after: number, before: number, limit: number): Promise<Message[]> {
    const filter = { sessionId: parseId(sessionId)!, seq: { $gt: after, $lt: before } }
    // In one piece: a second command for the rest costs more than the rest.
    const found = await this.#messages.find(filter, { batchSize: limit }).sort({ seq: 1 }).limit(limit).toArray()
    return found.map(toMessage)
  }

  /** Those of some sessions that are there, of whatever tenant. */
  async places (sessionIds: Iterable<string>): Promise<Map<string, Place>> {
    const found = await this.#sessions.find({ _id: { $in: objectIds(sessionIds) } })
      .project<Pick<SessionDocument, '_id' | 'tenantId' | 'status' | 'nextSeq' | 'clearedSeq'>>(
        { tenantId: 1, status: 1, nextSeq: 1, clearedSeq: 1 }
      )
      .toArray()
    return new Map(found.map(({ _id, tenantId, status, nextSeq, clearedSeq = 0 }) => (
      [_id.toHexString(), { tenantId, isPresent: status !== 'deleted', nextSeq, clearedSeq }]
    )))
  }

  /** In which session some messages are that are there, of whatever tenant. */
  async sessionsOf (messageIds: Iterable<string>): Promise<Map<string, string>> {
    const found = await this.#messages.find({ _id: { $in: objectIds(messageIds) } })
      .project<Pick<MessageDocument, '_id' | 'sessionId'>>({ sessionId: 1 })
      .toArray()
    return new Map(found.map(({ _id, sessionId }) => [_id.toHexString(), sessionId.toHexString()]))
  }

  /** False: an id, or a number or key within a session, was taken. */
  async insertSessions (sessions: readonly MovedSession[]): Promise<boolean> {
    return await this.#insert(this.#sessions, sessions.map(toSessionDocument))
  }

  /** False: an id, or a number or key within a session, was taken. */
  async insertMessages (messages: readonly Message[]): Promise<boolean> {
    return await this.#insert(this.#messages, messages.map((message) => (
      { ...toDocument(message), ...(message.feedback && { ratedAt: message.feedback.at }) }
    )))
  }

  /** Leaves room for messages that come from elsewhere. False: something was said in the session already. */
  async advance (sessionId: string, { tipId, ...counters }: Pick<Session, 'nextSeq' | 'rev' | 'tipId'>): Promise<boolean> {
    const { matchedCount } = await this.#sessions.updateOne({ _id: parseId(sessionId)!, nextSeq: 1 }, { $set: { ...counters, tipId: orNull(tipId) } })
    return matchedCount === 1
  }

  /** Takes messages back. */
  async removeMessages (messageIds: Iterable<string>): Promise<void> {
    await this.#messages.deleteMany({ _id: { $in: objectIds(messageIds) } })
  }

  /** Hides sessions from every reader. */
  async hide (sessionIds: Iterable<string>): Promise<void> {
    await this.#sessions.updateMany({ _id: { $in: objectIds(sessionIds) }, status: present }, { $set: hidden })
  }

  /** Has the search look at all of these sessions once more. */
  async reindex (sessionIds: Iterable<string>): Promise<void> {
    // A number of its own below zero: so whoever is indexing them just now sees that it was too early.
    await this.#sessions.updateMany(
      { _id: { $in: objectIds(sessionIds) }, status: present }, { $set: { unindexed: true, indexedSeq: -Date.now() } }
    )
  }

  async #insert<T extends Document> (
    collection: Collection<T>, documents: Parameters<Collection<T>['insertMany']>[0]
  ): Promise<boolean> {
    if (documents.length === 0) return true
    try {
      await collection.insertMany(documents, { ordered: false })
      return true
    } catch (error) {
      if (!(error instanceof MongoBulkWriteError) || ![error.writeErrors].flat().every(isTwin)) throw error
      return false
    }
  }
}
