import { type Collection, type Db, type Document, type ObjectId } from 'mongodb'
import { parseId } from './ids.ts'
import { type EventFilter } from './messages.ts'
import { type Session } from './sessions.ts'
import { findStretch, type Found, type Stretch } from './stretch.ts'

/** What a reader thought of a reply. */
export interface Feedback {
  readonly rating: 'up' | 'down'
  readonly comment?: string
  readonly tags: string[]
  readonly at: Date
}

/** What a change says of the session itself; absent members stayed as they were. */
export interface SessionUpdate {
  readonly title?: string | null
  /** The `seq` of the messages that the title was made of; not told to readers. */
  readonly titleFrom?: readonly number[]
  readonly metadata?: Record<string, unknown>
  readonly status?: 'active' | 'ended'
  /** The line that is spoken on from now on; null: the first one. */
  readonly branchId?: string | null
}

/** Messages that were removed from the beginning of a session, and how it begins since. */
export interface Cleared {
  readonly throughSeq: number
  /** Messages that begin a line since, by `seq`. Absent: all that was said was removed. */
  readonly heads?: readonly number[]
}

/** A change to what has been said before, or to the session. What is said is no change: messages speak for themselves. */
export type Change =
  | { readonly type: 'session.updated', readonly data: SessionUpdate }
  | { readonly type: 'session.deleted', readonly data: Record<string, never> }
  | { readonly type: 'session.cleared', readonly data: Cleared }
  | { readonly type: 'message.deleted', readonly messageId: string, readonly data: { readonly seq: number } }
  | { readonly type: 'message.feedback', readonly messageId: string, readonly data: { readonly feedback: Feedback | null, readonly seq: number } }

/** A change in its place. */
export type LogEntry = Change & {
  /** The session's order of events: turns and changes are counted together. */
  readonly rev: number
  /** The `seq` of the reply that was being written; the end of that reply comes after this change. */
  readonly during: number | null
  readonly at: Date
}

export interface LogEntryDocument {
  rev: number
  during: number | null
  at: Date
  type: Change['type']
  messageId: ObjectId | null
  data: Document
}

interface ChangeDocument extends LogEntryDocument {
  /** `<session>:<rev>`, so that it is there once, however often it is archived. */
  _id: string
  tenantId: string
  configId: ObjectId
  sessionId: ObjectId
  userId: string | null
  publishedAt: Date
}

/** A change, told apart from those of other sessions. */
export type PublishedChange = LogEntry & { readonly sessionId: string, readonly configId: string, readonly publishedAt: Date }

const erasedFeedback = { $set: { 'data.feedback': null } }
const erasedTitle = { $set: { 'data.title': null } }

export function toLogEntry ({ rev, during, at, type, messageId, data }: LogEntryDocument): LogEntry {
  // Nothing else is ever written there than what `logged` writes.
  return { rev, during, at, type, ...(messageId && { messageId: messageId.toHexString() }), data } as unknown as LogEntry
}

function toPublished ({ sessionId, configId, publishedAt, ...entry }: ChangeDocument): PublishedChange {
  return { ...toLogEntry(entry), sessionId: sessionId.toHexString(), configId: configId.toHexString(), publishedAt }
}

/** Values as an update by a pipeline takes them, whatever is in them. */
export function literally (values: Document): Document {
  const given = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([name, value]) => [name, { $literal: value as unknown }]))
}

/** The same, for fields that are not there yet. */
function whereAbsent (values: Document): Document {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { $ifNull: [`$${name}`, value] }]))
}

/** The write that keeps an entry of a session's log, where it is not kept yet. */
export function archival (
  { id, tenantId, configId, userId }: Pick<Session, 'id' | 'tenantId' | 'configId' | 'userId'>, entry: LogEntry
) {
  const { rev, during, at, type, data } = entry
  const fields = {
    ...literally({
      tenantId,
      configId: parseId(configId)!,
      sessionId: parseId(id)!,
      // The last one stays when all that is known of the user is erased.
      userId: type === 'session.deleted' ? null : userId,
      rev,
      during,
      at,
      type,
      messageId: 'messageId' in entry ? parseId(entry.messageId)! : null,
      data
    }),
    publishedAt: '$$NOW'
  }
  // An upsert by a pipeline, because only that knows the store's time.
  return { updateOne: { filter: { _id: `${id}:${rev}` }, update: [{ $set: whereAbsent(fields) }], upsert: true } }
}

/** The update of a session that writes a change into its log and sets what it changes, all in one. */
export function logged (change: Change, set: Document, more: Document = {}): Document[] {
  const entry = {
    rev: '$rev',
    during: { $ifNull: ['$turn.seq', null] },
    at: '$$NOW',
    type: change.type,
    messageId: 'messageId' in change ? parseId(change.messageId)! : null,
    data: { $literal: change.data }
  }
  return [
    { $set: { rev: { $add: [{ $ifNull: ['$rev', 0] }, 1] } } },
    {
      $set: {
        log: { $concatArrays: [{ $ifNull: ['$log', []] }, [entry]] },
        unsettledSince: { $ifNull: ['$unsettledSince', '$$NOW'] },
        ...literally(set),
        ...more
      }
    }
  ]
}

// Whoever has followed less recently finds the session gone.
const DELETION_KEPT_SECONDS = 30 * 24 * 3600

/** The collection `changes`: what was changed in each session, in order. Written behind the sessions' own logs. */
export class ChangeRepository {
  readonly #collection: Collection<ChangeDocument>

  constructor (db: Db) {
    this.#collection = db.collection('changes')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { sessionId: 1, rev: 1 } },
      { key: { tenantId: 1, publishedAt: 1, _id: 1 } },
      // All that is left of a session that is gone.
      { key: { publishedAt: 1 }, partialFilterExpression: { type: 'session.deleted' }, expireAfterSeconds: DELETION_KEPT_SECONDS }
    ])
  }

  /** Keeps entries of a session's log; those that are there already stay as they are. */
  async archive (session: Session, entries: readonly LogEntry[]): Promise<void> {
    await this.#collection.bulkWrite(entries.map((entry) => archival(session, entry)))
  }

  /** The changes of a session after a `rev`, in order. */
  async after (sessionId: string, rev: number, limit: number): Promise<LogEntry[]> {
    const found = await this.#collection
      .find({ sessionId: parseId(sessionId)!, rev: { $gt: rev } })
      .sort({ rev: 1 })
      .limit(limit)
      .toArray()
    return found.map(toLogEntry)
  }

  /** The changes in a stretch of time, of all sessions that are meant. */
  async published (
    { configId, ...scope }: EventFilter, types: ReadonlyArray<Change['type']>, stretch: Stretch
  ): Promise<Found<PublishedChange>> {
    const filter = { ...scope, ...(configId !== undefined && { configId: parseId(configId)! }), type: { $in: [...types] } }
    const { found, through } = await findStretch(this.#collection, filter, 'publishedAt', stretch)
    return { found: found.map(toPublished), through }
  }

  /** Removes what readers wrote about all messages of a session before a `rev`, and the titles that were made of them. */
  async forgetBefore (sessionId: string, rev: number): Promise<void> {
    const before = { sessionId: parseId(sessionId)!, rev: { $lt: rev } }
    await Promise.all([
      this.#collection.updateMany({ ...before, type: 'message.feedback' }, erasedFeedback),
      this.#collection.updateMany({ ...before, 'data.titleFrom': { $exists: true } }, erasedTitle)
    ])
  }

  /** The same of the messages up to a `seq`. */
  async forgetThrough (sessionId: string, seq: number, rev: number): Promise<void> {
    const before = { sessionId: parseId(sessionId)!, rev: { $lt: rev } }
    await Promise.all([
      // What was written before ratings knew the number of their message goes, too.
      this.#collection.updateMany({ ...before, type: 'message.feedback', 'data.seq': { $not: { $gt: seq } } }, erasedFeedback),
      this.#collection.updateMany({ ...before, 'data.titleFrom': { $lte: seq } }, erasedTitle)
    ])
  }

  /** Removes what a reader wrote about a message that is erased, and the title that was made of it. */
  async forget (sessionId: string, messageId: string, seq: number): Promise<void> {
    const session = parseId(sessionId)!
    await Promise.all([
      this.#collection.updateMany({ sessionId: session, type: 'message.feedback', messageId: parseId(messageId)! }, erasedFeedback),
      this.#collection.updateMany({ sessionId: session, 'data.titleFrom': seq }, erasedTitle)
    ])
  }
}
