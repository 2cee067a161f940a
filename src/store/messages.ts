import { type Collection, type Db, type Filter, MongoServerError } from 'mongodb'
import { type Line, lineFilter } from './branches.ts'
import { type Feedback, literally } from './changes.ts'
import { type Chatbot, type ChatbotDocument, toChatbot } from './chatbots.ts'
import { type GroupCommit } from './group-commit.ts'
import { parseId } from './ids.ts'
import {
  type Message, type MessageDocument, type MessageEnd, toDocument, toMessage, toUnrecorded, type Unrecorded, type UnrecordedMessage
} from './message.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'
import { type SessionScope } from './sessions.ts'
import { type StoreClock } from './store-clock.ts'
import { findStretch, type Found, type Stretch } from './stretch.ts'

/** Which ratings are meant: `from` included, `to` not. */
export interface RatedFilter extends SessionScope {
  readonly configId?: string
  readonly rating?: Feedback['rating']
  readonly from?: Date
  readonly to?: Date
}

/** Whose events are meant: a tenant's, and of them a chatbot's or a user's. */
export interface EventFilter extends SessionScope {
  readonly configId?: string
}

export interface HistoryRequest {
  readonly limit: number
  readonly after?: number
  readonly before?: number
}

// Who follows a tenant is told what the store has dated a second ago; what is dated earlier than this would be missed.
const FRESH_MS = 400

const rated = { ratedAt: { $type: 'date' } } as const

/** The collection `messages`: one document per message, in the order of `seq` within its session. */
export class MessageRepository {
  readonly #collection: Collection<MessageDocument>
  readonly #commits: GroupCommit
  readonly #clock: StoreClock

  constructor (db: Db, commits: GroupCommit, clock: StoreClock) {
    this.#collection = db.collection('messages')
    this.#commits = commits
    this.#clock = clock
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { sessionId: 1, seq: 1 }, unique: true },
      {
        key: { sessionId: 1, idempotencyKey: 1 },
        unique: true,
        partialFilterExpression: { idempotencyKey: { $exists: true } }
      },
      { key: { tenantId: 1, timestamp: 1 } },
      { key: { tenantId: 1, endedAt: 1 }, partialFilterExpression: { endedAt: { $type: 'date' } } },
      { key: { timestamp: 1 }, partialFilterExpression: { status: 'streaming' }, name: 'streaming' },
      { key: { endedAt: 1 }, partialFilterExpression: { unrecorded: { $exists: true } }, name: 'unrecorded' },
      { key: { tenantId: 1, ratedAt: -1, _id: -1 }, partialFilterExpression: rated },
      { key: { configId: 1, ratedAt: -1, _id: -1 }, partialFilterExpression: rated }
    ])
  }

  /** Inserts in order, all or from some point on none. False: the first bears a key or number that is taken. */
  async insert (messages: Message[]): Promise<boolean> {
    const documents = messages.map(toDocument)
    try {
      await this.#commits.do<unknown>({
        writes: documents.map((document) => ({ name: 'insertOne', namespace: this.#collection.namespace, document })),
        alone: async () => await this.#collection.insertMany(documents),
        together: () => {}
      })
      return true
    } catch (error) {
      if (error instanceof MongoServerError && error.code === 11000) return false
      throw error
    }
  }

  async find (sessionId: string, id: string): Promise<Message | undefined> {
    const [_id, session] = [parseId(id), parseId(sessionId)]
    const document = _id && session && await this.#collection.findOne({ _id, sessionId: session })
    return document ? toMessage(document) : undefined
  }

  /** Those of some messages that are there, of whatever session. */
  async withIds (ids: readonly string[]): Promise<Message[]> {
    const documents = await this.#collection
      .find({ _id: { $in: ids.map((id) => parseId(id)!) } }, { batchSize: ids.length + 1 })
      .toArray()
    return documents.map(toMessage)
  }

  async findByKey (sessionId: string, idempotencyKey: string): Promise<Message | undefined> {
    const document = await this.#collection.findOne({ sessionId: parseId(sessionId)!, idempotencyKey })
    return document ? toMessage(document) : undefined
  }

  /** The message of a session with the greatest `seq`, whatever its line. */
  async last (sessionId: string): Promise<Message | undefined> {
    const document = await this.#collection.find({ sessionId: parseId(sessionId)! }).sort({ seq: -1 }).limit(1).next()
    return document ? toMessage(document) : undefined
  }

  /** The messages of a session with the greatest `seq`, whatever their lines, the last one first. */
  async newest (sessionId: string, limit: number): Promise<Message[]> {
    const documents = await this.#collection.find({ sessionId: parseId(sessionId)! }).sort({ seq: -1 }).limit(limit).toArray()
    return documents.map(toMessage)
  }

  /** The messages of a session that follow a `seq`, whatever their lines, in order. */
  async after (sessionId: string, seq: number, limit: number): Promise<Message[]> {
    const documents = await this.#collection
      .find({ sessionId: parseId(sessionId)!, seq: { $gt: seq } })
      .sort({ seq: 1 })
      .limit(limit)
      .toArray()
    return documents.map(toMessage)
  }

  /** Messages by the time of their beginning or of their end. */
  async dated (time: 'timestamp' | 'endedAt', { configId, ...scope }: EventFilter, stretch: Stretch): Promise<Found<Message>> {
    const filter: Filter<MessageDocument> = { ...scope, ...(configId !== undefined && { configId: parseId(configId)! }) }
    const { found, through } = await findStretch(this.#collection, filter, time, stretch)
    return { found: found.map(toMessage), through }
  }

  /** The newest reply on its own line to a user message; `seq` narrows the search to what came after it. */
  async latestReply ({ sessionId, branchId, seq, id }: Message): Promise<Message | undefined> {
    const document = await this.#collection
      .find({
        sessionId: parseId(sessionId)!, seq: { $gt: seq }, replyTo: parseId(id)!, branchId: branchId === null ? null! : parseId(branchId)!
      })
      .sort({ seq: -1 })
      .limit(1)
      .next()
    return document ? toMessage(document) : undefined
  }

  /** Messages of a line, ascending by `seq`; with neither `after` nor `before`, the newest. */
  async history (line: Line, { limit, after, before }: HistoryRequest): Promise<Message[]> {
    const ascending = after !== undefined
    const documents = await this.#collection
      .find(lineFilter(line, { after, before }))
      .sort({ seq: ascending ? 1 : -1 })
      .limit(limit)
      .toArray()
    return (ascending ? documents : documents.reverse()).map(toMessage)
  }

  /** Of the messages of a line that follow a `seq`, the newest, ascending. */
  async newestAfter (line: Line, seq: number, limit: number): Promise<Message[]> {
    const documents = await this.#collection.find(lineFilter(line, { after: seq })).sort({ seq: -1 }).limit(limit).toArray()
    return documents.reverse().map(toMessage)
  }

  /**
   * What a prompt is made of, in one command: the last `limit` messages of a line before `before`, and the session's
   * chatbot, which is undefined when it is deleted.
   */
  async historyAndChatbot (
    line: Line & { configId: string, tenantId: string }, limit: number, before: number
  ): Promise<{ history: Message[], chatbot: Chatbot | undefined }> {
    const { configId, tenantId } = line
    const found = await this.#collection.aggregate<MessageDocument | ChatbotDocument>([
      { $match: lineFilter(line, { before }) },
      { $sort: { seq: -1 } },
      { $limit: limit },
      { $unionWith: { coll: 'configs', pipeline: [{ $match: { _id: parseId(configId)!, tenantId, deletedAt: null } }] } }
    ]).toArray()
    const history = found.filter((document): document is MessageDocument => 'sessionId' in document)
    const chatbot = found.find((document): document is ChatbotDocument => 'purpose' in document)
    return { history: history.reverse().map(toMessage), chatbot: chatbot && toChatbot(chatbot) }
  }

  /** The messages with these numbers. */
  async numbered (sessionId: string, seqs: number[]): Promise<Message[]> {
    const documents = await this.#collection
      .find({ sessionId: parseId(sessionId)!, seq: { $in: seqs } })
      .sort({ seq: 1 })
      .toArray()
    return documents.map(toMessage)
  }

  /** Writes the text so far. False: the message is no longer streaming, so whoever streams it must stop. */
  async flush (id: string, content: string): Promise<boolean> {
    const [filter, update] = [{ _id: parseId(id)!, status: 'streaming' } as const, { $set: { content } }]
    return await this.#commits.do({
      writes: [{ name: 'updateOne', namespace: this.#collection.namespace, filter, update }],
      alone: async () => (await this.#collection.updateOne(filter, update)).matchedCount === 1,
      together: ([matched]) => matched === 1
    })
  }

  /**
   * Ends a streaming message, whatever it is like by now. Undefined: it was ended or deleted by someone else. `unrecorded`: what
   * is still to be done then.
   */
  async end (
    id: string, end: Partial<MessageEnd> & Pick<MessageEnd, 'status'>, unrecorded?: Unrecorded
  ): Promise<Message | undefined> {
    const document = await this.#collection.findOneAndUpdate(
      { _id: parseId(id)!, status: 'streaming' },
      { $set: { ...end, ...(unrecorded && { unrecorded }) }, $currentDate: { endedAt: true } },
      { returnDocument: 'after' }
    )
    return document ? toMessage(document) : undefined
  }

  /** Ends a streaming message of which all is known, by whoever writes it; the same, without a reading. */
  async complete (message: Message, end: MessageEnd, unrecorded: Unrecorded): Promise<Message | undefined> {
    // The time as it is known here, which is never ahead of the store's and is only kept where it is not far behind it.
    const now = Math.max(message.timestamp.getTime(), await this.#clock.now())
    const filter = { _id: parseId(message.id)!, status: 'streaming' } as const
    const endedAt = { $toDate: { $max: [now, { $subtract: [{ $toLong: '$$NOW' }, FRESH_MS] }] } }
    const update = [{ $set: { ...literally({ ...end, unrecorded }), endedAt } }]
    const isEnded = await this.#commits.do({
      writes: [{ name: 'updateOne', namespace: this.#collection.namespace, filter, update }],
      alone: async () => (await this.#collection.updateOne(filter, update)).matchedCount === 1,
      together: ([matched]) => matched === 1
    })
    return isEnded ? { ...message, ...end, endedAt: new Date(now) } : undefined
  }

  /** Messages that are streaming now, anywhere, the oldest first. */
  async streaming (limit: number): Promise<Message[]> {
    const documents = await this.#collection.find({ status: 'streaming' }).sort({ timestamp: 1 }).limit(limit).toArray()
    return documents.map(toMessage)
  }

  /** Replies that ended before some moment and are not in the ledger yet, the oldest first. */
  async unrecorded (before: Date, limit: number): Promise<UnrecordedMessage[]> {
    const documents = await this.#collection
      .find({ unrecorded: { $exists: true }, endedAt: { $lt: before } })
      .sort({ endedAt: 1 })
      .limit(limit)
      .toArray()
    return documents.map(toUnrecorded)
  }

  /** Those of some messages that are not in the ledger yet. */
  async unrecordedOf (ids: readonly string[]): Promise<UnrecordedMessage[]> {
    const documents = await this.#collection
      .find({ _id: { $in: ids.map((id) => parseId(id)!) }, unrecorded: { $exists: true } })
      .toArray()
    return documents.map(toUnrecorded)
  }

  /** Notes that all is done that follows from the ends of replies. */
  async settleRecorded (ids: readonly string[]): Promise<void> {
    await this.#collection.updateMany({ _id: { $in: ids.map((id) => parseId(id)!) } }, { $unset: { unrecorded: '' } })
  }

  /** Takes the key off a reply that does not count, so that another may bear it. */
  async releaseKey (id: string): Promise<void> {
    await this.#collection.updateOne(
      { _id: parseId(id)!, status: { $in: ['failed', 'interrupted'] } }, { $unset: { idempotencyKey: '', requestHash: '' } }
    )
  }

  /** Sets what a reader thought of a message, or takes it away. A change that came later is not undone. */
  async rate (id: string, feedback: Feedback | null, rev: number): Promise<void> {
    await this.#collection.updateOne(
      { _id: parseId(id)!, status: { $ne: 'deleted' }, feedbackRev: { $not: { $gte: rev } } },
      feedback
        ? { $set: { feedback, ratedAt: feedback.at, feedbackRev: rev } }
        : { $set: { feedbackRev: rev }, $unset: { feedback: '', ratedAt: '' } }
    )
  }

  /** Leaves nothing of a message but its place. The key stays, so that a late repeat does not say it again. */
  async erase (id: string): Promise<void> {
    await this.#collection.updateOne({ _id: parseId(id)! }, [
      { $set: { content: '', status: 'deleted', wasStatus: { $ifNull: ['$wasStatus', '$status'] } } },
      { $unset: ['metadata', 'requestHash', 'error', 'feedback', 'ratedAt', 'feedbackRev', 'asked'] }
    ])
  }

  /** Has messages begin their lines: what they followed, and answered, is gone. */
  async detach (sessionId: string, seqs: readonly number[]): Promise<void> {
    await this.#collection.updateMany({ sessionId: parseId(sessionId)!, seq: { $in: [...seqs] } }, { $set: { parentId: null }, $unset: { replyTo: '' } })
  }

  /** Rated messages, the newest rating first. */
  async rated ({ configId, from, to, rating, ...scope }: RatedFilter, request: PageRequest): Promise<PageOf<Message>> {
    const filter: Filter<MessageDocument> = {
      ...scope,
      ...(configId !== undefined && { configId: parseId(configId)! }),
      ...(rating !== undefined && { 'feedback.rating': rating }),
      ratedAt: { $type: 'date', ...(from && { $gte: from }), ...(to && { $lt: to }) }
    }
    const { data, nextCursor } = await findPage(this.#collection, filter, 'ratedAt', request)
    return { data: data.map(toMessage), nextCursor }
  }
}
