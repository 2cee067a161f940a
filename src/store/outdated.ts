import { type Collection, type Db, type Filter, type ObjectId } from 'mongodb'
import { parseId } from './ids.ts'
import { type HoldableSession } from './legal-holds.ts'
import { type MessageDocument } from './message.ts'
import { type Claim } from './removal-claims.ts'
import { hidden, present, type SessionDocument } from './sessions.ts'
import { findStretch } from './stretch.ts'

/** A session that nobody has spoken in for a while. */
export interface SilentSession extends HoldableSession {
  readonly lastActivity: Date
}

/** Where messages end that are to go. `head`: the first one that stays; absent: none does. */
export interface Ending {
  readonly throughSeq: number
  readonly head?: number
}

/** Sessions with messages from before some moment, and up to when they were looked for. */
export interface Spoken {
  readonly sessionIds: readonly string[]
  readonly through: Date
}

type Place = Pick<MessageDocument, '_id' | 'seq' | 'timestamp' | 'replyTo'>

const SEQS = 500

/** What is older than its tenant keeps it. Read from the oldest on, by index, a little at a time. */
export class OutdatedRepository {
  readonly #sessions: Collection<SessionDocument>
  readonly #messages: Collection<MessageDocument>

  constructor (db: Db) {
    this.#sessions = db.collection('sessions')
    this.#messages = db.collection('messages')
  }

  /** Sessions whose last activity was before some moment and that have no turn, behind `after`, the oldest first. */
  async sessions (tenantId: string, before: Date, after: SilentSession | undefined, limit: number): Promise<SilentSession[]> {
    const filter: Filter<SessionDocument> = {
      tenantId,
      status: present,
      turn: null,
      // Not `$gte`, because SecantusDB 0.7 leaves the equal one out where an index descends.
      lastActivity: { $lt: before, ...(after && { $gt: new Date(after.lastActivity.getTime() - 1) }) },
      ...(after && { $or: [{ lastActivity: { $gt: after.lastActivity } }, { _id: { $gt: parseId(after.id)! } }] })
    }
    const found = await this.#sessions
      .find(filter)
      .project<Pick<SessionDocument, '_id' | 'configId' | 'userId' | 'lastActivity'>>({ configId: 1, userId: 1, lastActivity: 1 })
      .sort({ lastActivity: 1, _id: 1 })
      .limit(limit)
      .toArray()
    return found.map(({ _id, configId, userId, lastActivity }) => (
      { id: _id.toHexString(), tenantId, configId: configId.toHexString(), userId, lastActivity }
    ))
  }

  /** Hides those of the sessions that are claimed in which nobody has spoken since. Answers how many. */
  async hide ({ tenantId, ids, leaving }: Claim, before: Date): Promise<number> {
    const { modifiedCount } = await this.#sessions.updateMany(
      { _id: { $in: ids.map((id) => parseId(id)!) }, tenantId, status: present, leaving, turn: null, lastActivity: { $lt: before } }, { $set: hidden }
    )
    return modifiedCount
  }

  /** Sessions with messages of some stretch of time, from its beginning on. */
  async spoken (tenantId: string, from: Date, to: Date, limit: number): Promise<Spoken> {
    const { found, through } = await findStretch(this.#messages, { tenantId }, 'timestamp', { from, to, limit }, { sessionId: 1, timestamp: 1 })
    return { sessionIds: [...new Set(found.map(({ sessionId }) => sessionId.toHexString()))], through }
  }

  /** Up to which message, from `afterSeq` on, all of a session are from before some moment. What stays answers nothing that goes. */
  async ending (sessionId: string, afterSeq: number, before: Date): Promise<Ending> {
    let last: Place | undefined
    for (;;) {
      const places = await this.#places(sessionId, last?.seq ?? afterSeq)
      for (const place of places) {
        const isOld = place.timestamp < before
        if (!isOld && last && place.replyTo?.equals(last._id)) return { throughSeq: last.seq - 1, head: last.seq }
        if (!isOld) return { throughSeq: place.seq - 1, head: place.seq }
        last = place
      }
      if (places.length < SEQS) return { throughSeq: last?.seq ?? afterSeq }
    }
  }

  /** The first message of a line behind a `seq`. Undefined: there is none. */
  async head (sessionId: string, branchId: string | null, throughSeq: number): Promise<number | undefined> {
    const line = { sessionId: parseId(sessionId)!, branchId: branchId === null ? null! : parseId(branchId)! }
    const found = await this.#messages.findOne({ ...line, seq: { $gt: throughSeq } }, { sort: { seq: 1 }, projection: { seq: 1 } })
    return found?.seq
  }

  async #places (sessionId: string, afterSeq: number): Promise<Array<Place & { _id: ObjectId }>> {
    return await this.#messages
      .find({ sessionId: parseId(sessionId)!, seq: { $gt: afterSeq } })
      .project<Place>({ seq: 1, timestamp: 1, replyTo: 1 })
      .sort({ seq: 1 })
      .limit(SEQS)
      .toArray()
  }
}
