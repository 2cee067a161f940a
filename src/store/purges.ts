import { type Collection, type Db, type Document, type Filter, type ObjectId } from 'mongodb'
import { archival, type LogEntry } from './changes.ts'
import { parseId } from './ids.ts'
import { type Session, type SessionDocument, toSession } from './sessions.ts'

/** A message that is to be removed. */
export interface LeavingMessage {
  readonly id: string
  readonly tenantId: string
  /** What it took may not be in the ledger yet. */
  readonly isUnrecorded: boolean
}

/** A session that lives on without its older messages. */
export interface ClearedSession {
  readonly id: string
  readonly clearedSeq: number
}

interface Stored extends Document {
  _id: ObjectId
}

interface StoredChange extends Document {
  _id: string
}

const hex = ({ _id }: Stored) => _id.toHexString()
const objectIds = (ids: readonly string[]) => ids.map((id) => parseId(id)!)

/** The change that a session ends with. One in its log that a process which died has not archived keeps its place. */
function deletionOf ({ log, rev }: Session): LogEntry {
  return log.find(({ type }) => type === 'session.deleted') ??
    { type: 'session.deleted', rev: rev + 1, during: null, at: new Date(), data: {} }
}

/** What no reader sees any more, and its removal in bounded steps. */
export class PurgeRepository {
  readonly #sessions: Collection<Stored>
  readonly #messages: Collection<Stored>
  readonly #changes: Collection<StoredChange>

  constructor (db: Db) {
    this.#sessions = db.collection('sessions')
    this.#messages = db.collection('messages')
    this.#changes = db.collection('changes')
  }

  /** Sessions that are marked as deleted and still there, without those that an erasure removes. */
  async deletedSessions (limit: number): Promise<string[]> {
    return (await this.#find(this.#sessions, { status: 'deleted', erasing: null }, limit)).map(hex)
  }

  /** Which of these sessions have a turn. */
  async held (sessionIds: readonly string[]): Promise<Set<string>> {
    const filter = { _id: { $in: objectIds(sessionIds) }, turn: { $ne: null } }
    const found = await this.#find(this.#sessions, filter, sessionIds.length)
    return new Set(found.map(hex))
  }

  /** Some messages of these sessions; where `throughSeq` is given, of those up to it. */
  async messagesOf (sessionIds: readonly string[], limit: number, throughSeq?: number): Promise<LeavingMessage[]> {
    const upTo = throughSeq === undefined ? {} : { seq: { $lte: throughSeq } }
    const filter = { sessionId: { $in: objectIds(sessionIds) }, ...upTo }
    const found = await this.#find(this.#messages, filter, limit, { tenantId: 1, 'unrecorded.keyId': 1 })
    return found.map((message) => ({
      id: hex(message), tenantId: String(message['tenantId']), isUnrecorded: message['unrecorded'] !== undefined
    }))
  }

  /** How many messages these sessions have. */
  async countMessages (sessionIds: readonly string[]): Promise<number> {
    return await this.#messages.countDocuments({ sessionId: { $in: objectIds(sessionIds) } })
  }

  async removeMessages (messages: readonly LeavingMessage[]): Promise<void> {
    await this.#messages.deleteMany({ _id: { $in: messages.map(({ id }) => parseId(id)!) } })
  }

  /**
   * Removes up to `limit` changes of these sessions. That they were deleted stays: who follows is still to be told.
   * True: that were all.
   */
  async removeChanges (sessionIds: readonly string[], limit: number): Promise<boolean> {
    const found = await this.#changes
      .find({ sessionId: { $in: objectIds(sessionIds) }, type: { $ne: 'session.deleted' } })
      .project<StoredChange>({ _id: 1 })
      .limit(limit)
      .toArray()
    if (found.length > 0) await this.#changes.deleteMany({ _id: { $in: found.map(({ _id }) => _id) } })
    return found.length < limit
  }

  /** Notes that these sessions were deleted, where whoever has deleted them did not. */
  async noteDeletions (sessionIds: readonly string[]): Promise<void> {
    const noted = await this.#changes
      .find({ sessionId: { $in: objectIds(sessionIds) }, type: 'session.deleted' })
      .project<{ sessionId: ObjectId }>({ sessionId: 1 })
      .toArray()
    const silent = { _id: { $in: objectIds(sessionIds), $nin: noted.map(({ sessionId }) => sessionId) } }
    const sessions = (await this.#sessions.find<SessionDocument>(silent).toArray()).map(toSession)
    const writes = sessions.map((session) => archival(session, deletionOf(session)))
    if (writes.length > 0) await this.#changes.bulkWrite(writes)
  }

  /** Removes sessions that are marked as deleted. */
  async removeSessions (sessionIds: readonly string[]): Promise<void> {
    await this.#sessions.deleteMany({ _id: { $in: objectIds(sessionIds) }, status: 'deleted' })
  }

  /** Sessions whose cleared messages are still there. */
  async clearedSessions (limit: number): Promise<ClearedSession[]> {
    const found = await this.#find(this.#sessions, { clearing: true }, limit, { clearedSeq: 1 })
    return found.map((session) => ({ id: hex(session), clearedSeq: Number(session['clearedSeq']) }))
  }

  /** Notes that the cleared messages are gone, unless more were cleared meanwhile. */
  async settleCleared ({ id, clearedSeq }: ClearedSession): Promise<void> {
    await this.#sessions.updateOne({ _id: parseId(id)!, clearedSeq }, { $unset: { clearing: '' } })
  }

  async #find (
    collection: Collection<Stored>, filter: Filter<Stored>, limit: number, fields: Document = {}
  ): Promise<Stored[]> {
    return await collection.find(filter).project<Stored>({ _id: 1, ...fields }).limit(limit).toArray()
  }
}
