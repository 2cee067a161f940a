import { type Collection, type Db, type Document, type Filter, type ObjectId } from 'mongodb'
import { type Usage } from '../llm/provider.ts'
import { type Branch, type BranchDocument, toBranch } from './branches.ts'
import { type Change, logged, type LogEntry, type LogEntryDocument, toLogEntry } from './changes.ts'
import { parseId } from './ids.ts'
import { insertNew } from './insert-new.ts'
import { addingEntry, type OutboxEntry, OutboxRepository, outboxIndex, withEntry, type WithOutbox } from './outbox.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'
import { type Summary } from './upkeep.ts'

/** The right to answer in a session; held by one process at a time, until `leaseUntil` by the store's clock. */
export interface Turn {
  readonly messageId: string
  readonly seq: number
  /** Its place in the order of what happens in the session. */
  readonly rev: number
  /** The message that its first message follows. */
  readonly parentId: string | null
  readonly leaseUntil: Date
  readonly idempotencyKey: string | null
  /** The holder let the lease run out; whoever sees this cleans up, and the holder can no longer renew. */
  readonly lapsed: boolean
}

export type SessionStatus = 'active' | 'ended'

/** Somebody on an external channel, and the integration that they write by; null: they are spoken for with a credential. */
export interface ExternalUser {
  readonly integrationId: string | null
  readonly userId: string
}

export interface Session {
  readonly id: string
  readonly tenantId: string
  readonly configId: string
  readonly userId: string | null
  readonly channel: string | null
  /** Who it is with, where they write from elsewhere. */
  readonly external?: ExternalUser
  readonly title: string | null
  /** The messages that the title was made of, by `seq`; none: somebody has given it. */
  readonly titleFrom: readonly number[]
  readonly summary: Summary | null
  /** What title and summaries took. */
  readonly upkeep?: Usage
  /** How often a text was taken out of it. */
  readonly removals: number
  readonly metadata: Record<string, unknown>
  /** `deleted`: gone for every reader; its messages are being purged. */
  readonly status: SessionStatus | 'deleted'
  readonly startedAt: Date
  readonly lastActivity: Date
  /** The version of the chatbot that it keeps to; null: the newest. */
  readonly configVersion: number | null
  readonly nextSeq: number
  /** Messages up to this `seq` were cleared: gone for every reader. */
  readonly clearedSeq: number
  /** How often something has happened in it: a turn was taken, or something was changed. */
  readonly rev: number
  /** The line that is spoken on; null: the first one. */
  readonly branchId: string | null
  readonly branches: readonly Branch[]
  /** The last message of that line. */
  readonly tipId: string | null
  /** Changes that are not yet settled, the oldest first. */
  readonly log: readonly LogEntry[]
  readonly turn: Turn | null
  /** Those who wait for the turn, the next one first. */
  readonly tickets: readonly string[]
}

export type NewSession = Pick<Session, 'tenantId' | 'configId' | 'configVersion' | 'userId' | 'channel' | 'external' | 'title' | 'metadata'>

/** A change of a session: what is written into its log, what of the session it sets, and what must be so for it. */
export type RecordedChange = Change & {
  readonly set?: Document
  readonly guard?: Filter<SessionDocument>
  /** What is told of it. */
  readonly entry?: OutboxEntry
}

/** Whose sessions are meant: a tenant's, or, where `userId` is given, one user's in it. */
export interface SessionScope {
  readonly tenantId: string
  readonly userId?: string
}

interface TurnDocument extends Omit<Turn, 'messageId' | 'parentId'> {
  messageId: ObjectId
  parentId: ObjectId | null
}

type Stored = Omit<
  Session,
  'id' | 'configId' | 'configVersion' | 'titleFrom' | 'summary' | 'removals' | 'clearedSeq' | 'rev' | 'branchId' | 'branches' | 'tipId' |
  'log' | 'turn' | 'tickets'
>

export interface SessionDocument extends Stored, WithOutbox {
  _id: ObjectId
  configId: ObjectId
  configVersion?: number | null
  titleFrom?: number[]
  summary?: Summary | null
  removals?: number
  clearedSeq?: number
  rev?: number
  branchId?: ObjectId | null
  branches?: BranchDocument[]
  tipId?: ObjectId | null
  log?: LogEntryDocument[]
  /** Set while the log has entries, so that they are found when their process has died. */
  unsettledSince?: Date | null
  /** Messages were cleared that are still there. */
  clearing?: true
  /** Its user is being erased, which counts what goes. */
  erasing?: true
  /** Somebody is about to remove it, and looks whether they may. Another value by then, or none: they have to look again. */
  leaving?: string | null
  /** What was said in it is not yet all in the search index. */
  unindexed?: true
  /** Messages up to this `seq` are in it; below zero: all are to be looked at once more. */
  indexedSeq?: number
  turn: TurnDocument | null
  /** Absent in a session that has not been spoken in. A ticket lapses at `until`. */
  tickets?: Array<{ id: ObjectId, until: Date }>
}

/** A session as it is stored, as the core sees it. */
export function toSession (document: SessionDocument): Session {
  const {
    _id, configId, configVersion = null, title, titleFrom = [], summary, removals = 0, clearedSeq = 0, rev = 0, branchId, branches = [], tipId, log = [], turn, tickets = [],
    unsettledSince: _s, clearing: _c, erasing: _e, leaving: _l, unindexed: _u, indexedSeq: _i,
    outbox: _o, outboxSince: _os, ...rest
  } = document
  return {
    id: _id.toHexString(),
    configId: configId.toHexString(),
    configVersion,
    // What was made of messages that were cleared is about to be taken away.
    title: titleFrom.length > 0 && Math.min(...titleFrom) <= clearedSeq ? null : title,
    titleFrom,
    summary: summary && summary.throughSeq > clearedSeq ? summary : null,
    removals,
    clearedSeq,
    rev,
    branchId: branchId?.toHexString() ?? null,
    branches: branches.map(toBranch),
    tipId: tipId?.toHexString() ?? null,
    log: log.map(toLogEntry),
    turn: turn && { ...turn, messageId: turn.messageId.toHexString(), parentId: turn.parentId?.toHexString() ?? null },
    tickets: tickets.map(({ id }) => id.toHexString()),
    ...rest
  }
}

/** The status of a session that readers see. */
export const present = { $in: ['active', 'ended'] as SessionStatus[] }

/**
 * What hides a session from every reader. Without its date, no list walks over it for as long as it is still there. What
 * was still to be told of it is not told any more.
 */
export const hidden: Document = { status: 'deleted', lastActivity: null, outboxSince: null, leaving: null }

/** The collection `sessions`. A session that is deleted is marked first and purged later. */
export class SessionRepository {
  readonly outbox: OutboxRepository
  readonly #collection: Collection<SessionDocument>

  constructor (db: Db) {
    this.outbox = new OutboxRepository(db.collection('sessions'))
    this.#collection = db.collection('sessions')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { tenantId: 1, lastActivity: -1, _id: -1 } },
      { key: { configId: 1, lastActivity: -1, _id: -1 } },
      { key: { tenantId: 1, userId: 1, lastActivity: -1, _id: -1 } },
      { key: { status: 1, erasing: 1 }, partialFilterExpression: { status: 'deleted' } },
      { key: { unsettledSince: 1 }, partialFilterExpression: { unsettledSince: { $type: 'date' } } },
      { key: { clearing: 1 }, partialFilterExpression: { clearing: true } },
      outboxIndex
    ])
  }

  /** Undefined: there is one with this id already. `entryOf`: what is told of it. */
  async insert (
    id: string, session: NewSession, now: Date, entryOf?: (session: Session) => OutboxEntry | undefined
  ): Promise<Session | undefined> {
    const document: SessionDocument = {
      _id: parseId(id)!,
      ...session,
      configId: parseId(session.configId)!,
      status: 'active',
      startedAt: now,
      lastActivity: now,
      nextSeq: 1,
      rev: 0,
      turn: null
    }
    const inserted = toSession(document)
    return await insertNew(this.#collection, { ...document, ...withEntry(entryOf?.(inserted)) }) ? inserted : undefined
  }

  async find (scope: SessionScope, id: string): Promise<Session | undefined> {
    const _id = parseId(id)
    const document = _id && await this.#collection.findOne({ _id, ...scope, status: present })
    return document ? toSession(document) : undefined
  }

  /** A session as it is stored, whoever it belongs to and even if it is deleted. */
  async inspect (id: string): Promise<Session | undefined> {
    const document = await this.#collection.findOne({ _id: parseId(id)! })
    return document ? toSession(document) : undefined
  }

  /** Of those of `ids` that are stored: what differs whenever something has happened in them. */
  async marks (ids: string[]): Promise<Map<string, string>> {
    const found = await this.#collection
      .find({ _id: { $in: ids.map((id) => parseId(id)!) } }, { batchSize: ids.length + 1 })
      .project<Pick<SessionDocument, '_id' | 'rev' | 'status' | 'turn'>>({ rev: 1, status: 1, 'turn.rev': 1 })
      .toArray()
    return new Map(found.map(({ _id, rev = 0, status, turn }) => [_id.toHexString(), `${rev} ${turn?.rev ?? 'free'} ${status}`]))
  }

  /** Of those of `ids` that are there: up to which `seq` they were cleared. */
  async clearedSeqs (scope: SessionScope, ids: string[]): Promise<Map<string, number>> {
    const found = await this.#collection
      .find({ _id: { $in: ids.map((id) => parseId(id)!) }, ...scope, status: present })
      .project<Pick<SessionDocument, '_id' | 'clearedSeq'>>({ clearedSeq: 1 })
      .toArray()
    return new Map(found.map(({ _id, clearedSeq = 0 }) => [_id.toHexString(), clearedSeq]))
  }

  /** `configId`: of this chatbot only; `butNotOf`: of none of these chatbots. */
  async page (
    scope: SessionScope & { configId?: string }, butNotOf: readonly string[], request: PageRequest
  ): Promise<PageOf<Session>> {
    const { configId, ...rest } = scope
    const filter: Filter<SessionDocument> = { ...rest, status: present }
    if (configId !== undefined || butNotOf.length > 0) {
      filter.configId = { ...(configId !== undefined && { $eq: parseId(configId)! }), $nin: butNotOf.map((id) => parseId(id)!) }
    }
    const { data, nextCursor } = await findPage(this.#collection, filter, 'lastActivity', request)
    return { data: data.map(toSession), nextCursor }
  }

  /**
   * Writes a change into the session's log, and with it whatever of the session it changes. Undefined: there is no such
   * session, or `guard` says no.
   */
  async record (
    scope: SessionScope, id: string, { set = {}, guard = {}, entry, ...change }: RecordedChange
  ): Promise<Session | undefined> {
    const _id = parseId(id)
    const document = _id && await this.#collection.findOneAndUpdate(
      { _id, ...scope, status: present, ...guard }, logged(change, set, entry && addingEntry(entry)), { returnDocument: 'after' }
    )
    return document ? toSession(document) : undefined
  }

  /** Takes what is archived out of the log, up to a `rev`. */
  async settle (id: string, throughRev: number): Promise<void> {
    const rest = { $filter: { input: '$log', cond: { $gt: ['$$this.rev', throughRev] } } }
    await this.#collection.updateOne({ _id: parseId(id)! }, [
      { $set: { log: rest } },
      { $set: { unsettledSince: { $cond: [{ $eq: ['$log', []] }, null, '$unsettledSince'] } } }
    ])
  }

  /** Sessions with changes that are not settled, the oldest first. */
  async unsettled (limit: number): Promise<Session[]> {
    const found = await this.#collection
      .find({ unsettledSince: { $type: 'date' } })
      .sort({ unsettledSince: 1 })
      .limit(limit)
      .toArray()
    return found.map(toSession)
  }

  /** Hides a session from every reader and lets no new turn begin. False: there is none. */
  async markDeleted (scope: SessionScope, id: string): Promise<boolean> {
    const _id = parseId(id)
    if (!_id) return false
    const { matchedCount } = await this.#collection.updateOne({ _id, ...scope, status: present }, { $set: hidden })
    return matchedCount === 1
  }

  /** Marks up to `limit` sessions of a chatbot as deleted. Tells whether there were any. */
  async markDeletedOf (configId: string, limit: number): Promise<boolean> {
    const found = await this.#ids({ configId: parseId(configId)!, status: present }, limit)
    if (found.length > 0) await this.#collection.updateMany({ _id: { $in: found }, status: present }, { $set: hidden })
    return found.length > 0
  }

  /** Whether sessions of a chatbot are still stored, marked ones included. */
  async anyOf (configId: string): Promise<boolean> {
    return (await this.#ids({ configId: parseId(configId)! }, 1)).length > 0
  }

  /** Whether readers see a session of a chatbot with one of these users. */
  async anyWith (tenantId: string, configId: string, userIds: readonly string[]): Promise<boolean> {
    if (userIds.length === 0) return false
    return (await this.#ids({ tenantId, userId: { $in: [...userIds] }, configId: parseId(configId)!, status: present }, 1)).length > 0
  }

  async #ids (filter: Filter<SessionDocument>, limit: number): Promise<ObjectId[]> {
    const found = await this.#collection.find(filter).project<Document & { _id: ObjectId }>({ _id: 1 }).limit(limit).toArray()
    return found.map(({ _id }) => _id)
  }
}
