import { type AnyBulkWriteOperation, type Collection, type Db, type Document, type ObjectId } from 'mongodb'
import { type MessageStatus } from './message.ts'
import { parseId } from './ids.ts'
import { present, type SessionDocument, type SessionScope } from './sessions.ts'

/** A session with messages that may not be in the search index. */
export interface UnindexedSession {
  readonly id: string
  readonly tenantId: string
  /** How far it was indexed; whoever adds messages to what was said before sets it to a number below zero. */
  readonly indexedSeq: number | null
  /** Messages up to this `seq` are in the index, or not to be in it. */
  readonly afterSeq: number
  readonly nextSeq: number
  /** How often something has happened in it; null: some of that is not done yet. */
  readonly rev: number | null
}

/** What the index is told of a message. */
export interface SourceMessage {
  readonly id: string
  readonly tenantId: string
  readonly configId: string
  readonly userId: string | null
  readonly sessionId: string
  readonly seq: number
  readonly timestamp: Date
  readonly status: MessageStatus
  readonly content: string
}

/** What of a session's messages can be read. */
export interface Readable {
  readonly tenantId: string
  /** Messages up to this `seq` cannot. */
  readonly clearedSeq: number
  /** Messages that are being erased. */
  readonly leaving: ReadonlySet<string>
  readonly rev: number
}

/** How far a session was indexed now. */
export interface Progress {
  readonly session: UnindexedSession
  /** The last message that is in the index. */
  readonly indexedSeq: number
  /** Whether that was all. */
  readonly isAll: boolean
}

interface SourceDocument extends Omit<SourceMessage, 'id' | 'configId' | 'sessionId'> {
  _id: ObjectId
  configId: ObjectId
  sessionId: ObjectId
}

function toSource (document: SourceDocument): SourceMessage {
  const { _id, tenantId, configId, userId, sessionId, seq, timestamp, status, content } = document
  const ids = { id: _id.toHexString(), configId: configId.toHexString(), sessionId: sessionId.toHexString() }
  return { ...ids, tenantId, userId, seq, timestamp, status, content }
}

/** What the search index is made from: sessions and their messages, as the index looks at them. */
export class SearchSourceRepository {
  readonly #sessions: Collection<SessionDocument>
  readonly #messages: Collection<SourceDocument>

  constructor (db: Db) {
    this.#sessions = db.collection('sessions')
    this.#messages = db.collection('messages')
  }

  async createIndexes (): Promise<void> {
    await this.#sessions.createIndexes([
      { key: { unindexed: 1, tenantId: 1, lastActivity: -1 }, partialFilterExpression: { unindexed: true } }
    ])
  }

  /** Sessions of all tenants with something new that is not just being answered. */
  async unindexed (limit: number): Promise<UnindexedSession[]> {
    return await this.#unindexed({ unindexed: true, status: present, turn: null }, {}, limit)
  }

  /** Sessions with something new within a scope, the newest activity first. */
  async unindexedIn (scope: SessionScope & { configId?: string }, limit: number): Promise<UnindexedSession[]> {
    const { configId, ...rest } = scope
    return await this.#unindexed(
      { unindexed: true, ...rest, status: present, ...(configId !== undefined && { configId: parseId(configId)! }) },
      { lastActivity: -1 }, limit
    )
  }

  async #unindexed (filter: Document, sort: Record<string, -1>, limit: number): Promise<UnindexedSession[]> {
    const found = await this.#sessions
      .find(filter)
      .project<SessionDocument>({ tenantId: 1, indexedSeq: 1, clearedSeq: 1, nextSeq: 1, rev: 1, log: 1 })
      .sort(sort)
      .limit(limit)
      .toArray()
    return found.map(({ _id, tenantId, nextSeq, indexedSeq = null, clearedSeq = 0, rev = 0, log = [] }) => ({
      id: _id.toHexString(),
      tenantId,
      nextSeq,
      indexedSeq,
      afterSeq: Math.max(indexedSeq ?? 0, clearedSeq),
      rev: log.length > 0 ? null : rev
    }))
  }

  /** Of each session, at most `limit` messages that may not be in the index: from the oldest or the newest on. */
  async messagesOf (
    sessions: readonly UnindexedSession[], limit: number, from: 'oldest' | 'newest'
  ): Promise<SourceMessage[]> {
    const [first, ...others] = sessions.map(({ id, afterSeq }) => [
      { $match: { sessionId: parseId(id)!, seq: { $gt: afterSeq } } },
      { $sort: { seq: from === 'oldest' ? 1 : -1 } },
      { $limit: limit }
    ])
    if (!first) return []
    // One command for many sessions, each of which has a place of its own to go on from.
    const found = await this.#messages.aggregate<SourceDocument>([
      ...first, ...others.map((pipeline) => ({ $unionWith: { coll: 'messages', pipeline } }))
    ], { batchSize: sessions.length * limit + 1 }).toArray()
    return found.map(toSource)
  }

  /** Those of these sessions that readers see. */
  async readable (sessionIds: readonly string[]): Promise<Map<string, Readable>> {
    const ids = sessionIds.map((id) => parseId(id)!)
    const found = await this.#sessions
      .find({ _id: { $in: ids }, status: present }, { batchSize: ids.length + 1 })
      .project<SessionDocument>({ tenantId: 1, clearedSeq: 1, rev: 1, log: 1 })
      .toArray()
    return new Map(found.map(({ _id, tenantId, clearedSeq = 0, rev = 0, log = [] }) => {
      const erasures = log.filter(({ type }) => type === 'message.deleted')
      const leaving = new Set(erasures.map(({ messageId }) => messageId?.toHexString() ?? ''))
      return [_id.toHexString(), { tenantId, clearedSeq, leaving, rev }]
    }))
  }

  /** The ids of those messages that no reader sees any more. They were read after these sessions were. */
  async gone (messages: readonly SourceMessage[], readSessions: readonly UnindexedSession[]): Promise<Set<string>> {
    const revs = new Map(readSessions.map(({ id, rev }) => [id, rev]))
    // First the sessions: what is erased stands in their logs until the message itself says so.
    const sessions = await this.readable([...new Set(messages.map(({ sessionId }) => sessionId))])
    // Where nothing has happened, nothing was erased.
    const doubtful = messages.filter(({ sessionId }) => sessions.get(sessionId)?.rev !== revs.get(sessionId))
    const erased = await this.#erased(doubtful)
    return new Set(messages.filter(({ id, sessionId, seq }) => {
      const session = sessions.get(sessionId)
      return !session || seq <= session.clearedSeq || session.leaving.has(id) || erased.has(id)
    }).map(({ id }) => id))
  }

  async #erased (messages: readonly SourceMessage[]): Promise<Set<string>> {
    const ids = new Set(messages.map(({ id }) => id))
    if (ids.size === 0) return ids
    const found = await this.#messages
      .find({ _id: { $in: messages.map(({ id }) => parseId(id)!) } }, { batchSize: ids.size + 1 })
      .project<SourceDocument>({ status: 1 })
      .toArray()
    for (const { _id, status } of found) if (status !== 'deleted') ids.delete(_id.toHexString())
    return ids
  }

  /** Notes how far sessions were indexed. Those where more was said or added meanwhile stay to be indexed. */
  async advance (progress: readonly Progress[]): Promise<void> {
    type Operation = AnyBulkWriteOperation<SessionDocument>
    const operations = progress.flatMap(({ session, indexedSeq, isAll }): Operation[] => {
      const unchanged = { _id: parseId(session.id)!, indexedSeq: session.indexedSeq! }
      const further = { updateOne: { filter: unchanged, update: { $set: { indexedSeq } } } }
      if (!isAll) return [further]
      const quiet = { ...unchanged, nextSeq: session.nextSeq, turn: null }
      return [{ updateOne: { filter: quiet, update: { $set: { indexedSeq }, $unset: { unindexed: '' } } } }, further]
    })
    if (operations.length > 0) await this.#sessions.bulkWrite(operations)
  }
}
