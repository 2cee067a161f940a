import { type Collection, type Db, type ObjectId, MongoServerError } from 'mongodb'
import { type ErrorCode } from '../errors.ts'
import { type Usage } from '../llm/provider.ts'
import { type Chatbot, type ChatbotDocument, toChatbot } from './chatbots.ts'
import { parseId } from './ids.ts'

/** `streaming` is the only status that is not final. */
export type MessageStatus = 'completed' | 'streaming' | 'stopped' | 'failed' | 'interrupted'

export interface Message {
  readonly id: string
  readonly tenantId: string
  readonly configId: string
  /** Of a bot message: the version that it was written by. Absent on one that was cut off before this was known. */
  readonly configVersion?: number
  readonly sessionId: string
  readonly userId: string | null
  readonly channel: string | null
  readonly seq: number
  readonly role: 'user' | 'bot'
  readonly content: string
  readonly timestamp: Date
  readonly status: MessageStatus
  readonly replyTo?: string
  readonly model?: string
  /** The offline provider wrote it, because the model was away. */
  readonly fallback?: true
  readonly finishReason?: string
  readonly usage?: Usage
  readonly latency?: { readonly firstTokenMs?: number, readonly totalMs: number }
  readonly error?: { readonly code: ErrorCode, readonly detail: string }
  readonly idempotencyKey?: string
  readonly requestHash?: string
  readonly metadata?: Record<string, unknown>
}

/** What the end of a turn adds to its bot message. */
export type MessageEnd = Pick<
  Message, 'content' | 'configVersion' | 'model' | 'fallback' | 'finishReason' | 'usage' | 'latency' | 'error'
> & {
  readonly status: Exclude<MessageStatus, 'streaming'>
}

export interface HistoryRequest {
  readonly limit: number
  readonly after?: number
  readonly before?: number
}

interface MessageDocument extends Omit<Message, 'id' | 'configId' | 'sessionId' | 'replyTo'> {
  _id: ObjectId
  configId: ObjectId
  sessionId: ObjectId
  replyTo?: ObjectId
}

function toMessage ({ _id, configId, sessionId, replyTo, ...rest }: MessageDocument): Message {
  return {
    id: _id.toHexString(),
    configId: configId.toHexString(),
    sessionId: sessionId.toHexString(),
    ...(replyTo && { replyTo: replyTo.toHexString() }),
    ...rest
  }
}

function toDocument ({ id, configId, sessionId, replyTo, ...rest }: Message): MessageDocument {
  return {
    _id: parseId(id)!,
    configId: parseId(configId)!,
    sessionId: parseId(sessionId)!,
    ...(replyTo !== undefined && { replyTo: parseId(replyTo)! }),
    ...rest
  }
}

/** The collection `messages`: one document per message, in the order of `seq` within its session. */
export class MessageRepository {
  readonly #collection: Collection<MessageDocument>

  constructor (db: Db) {
    this.#collection = db.collection('messages')
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
      { key: { timestamp: 1 }, partialFilterExpression: { status: 'streaming' }, name: 'streaming' }
    ])
  }

  /** Inserts in order, all or from some point on none. False: the first bears a key or number that is taken. */
  async insert (messages: Message[]): Promise<boolean> {
    try {
      await this.#collection.insertMany(messages.map(toDocument))
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

  async findByKey (sessionId: string, idempotencyKey: string): Promise<Message | undefined> {
    const document = await this.#collection.findOne({ sessionId: parseId(sessionId)!, idempotencyKey })
    return document ? toMessage(document) : undefined
  }

  /** The greatest `seq` in a session; 0 where there is no message. */
  async lastSeq (sessionId: string): Promise<number> {
    const [last] = await this.history(sessionId, { limit: 1 })
    return last?.seq ?? 0
  }

  /** The newest bot message that answers a user message; `seq` narrows the search to what came after it. */
  async latestReply ({ sessionId, seq, id }: Message): Promise<Message | undefined> {
    const document = await this.#collection
      .find({ sessionId: parseId(sessionId)!, seq: { $gt: seq }, replyTo: parseId(id)! })
      .sort({ seq: -1 })
      .limit(1)
      .next()
    return document ? toMessage(document) : undefined
  }

  /** Ascending by `seq`; with neither `after` nor `before`, the newest. */
  async history (sessionId: string, { limit, after, before }: HistoryRequest): Promise<Message[]> {
    const session = parseId(sessionId)!
    const seq = { ...(after !== undefined && { $gt: after }), ...(before !== undefined && { $lt: before }) }
    const filter = Object.keys(seq).length > 0 ? { sessionId: session, seq } : { sessionId: session }
    const ascending = after !== undefined
    const documents = await this.#collection.find(filter).sort({ seq: ascending ? 1 : -1 }).limit(limit).toArray()
    return (ascending ? documents : documents.reverse()).map(toMessage)
  }

  /**
   * What a prompt is made of, in one command: the last `limit` messages before `before`, and the session's chatbot, which is
   * undefined when it is deleted.
   */
  async historyAndChatbot (
    { sessionId, configId, tenantId }: Pick<Message, 'sessionId' | 'configId' | 'tenantId'>, limit: number, before: number
  ): Promise<{ history: Message[], chatbot: Chatbot | undefined }> {
    const found = await this.#collection.aggregate<MessageDocument | ChatbotDocument>([
      { $match: { sessionId: parseId(sessionId)!, seq: { $lt: before } } },
      { $sort: { seq: -1 } },
      { $limit: limit },
      { $unionWith: { coll: 'configs', pipeline: [{ $match: { _id: parseId(configId)!, tenantId, deletedAt: null } }] } }
    ]).toArray()
    const history = found.filter((document): document is MessageDocument => 'sessionId' in document)
    const chatbot = found.find((document): document is ChatbotDocument => 'purpose' in document)
    return { history: history.reverse().map(toMessage), chatbot: chatbot && toChatbot(chatbot) }
  }

  /** Writes the text so far. False: the message is no longer streaming, so whoever streams it must stop. */
  async flush (id: string, content: string): Promise<boolean> {
    const { matchedCount } = await this.#collection.updateOne({ _id: parseId(id)!, status: 'streaming' }, { $set: { content } })
    return matchedCount === 1
  }

  /** Ends a streaming message. Undefined: it was ended or deleted by someone else. */
  async end (id: string, end: Partial<MessageEnd> & Pick<MessageEnd, 'status'>): Promise<Message | undefined> {
    const document = await this.#collection.findOneAndUpdate(
      { _id: parseId(id)!, status: 'streaming' }, { $set: end }, { returnDocument: 'after' }
    )
    return document ? toMessage(document) : undefined
  }

  /** Messages that are streaming now, anywhere, the oldest first. */
  async streaming (limit: number): Promise<Message[]> {
    const documents = await this.#collection.find({ status: 'streaming' }).sort({ timestamp: 1 }).limit(limit).toArray()
    return documents.map(toMessage)
  }

  async deleteOf (sessionId: string): Promise<void> {
    await this.#collection.deleteMany({ sessionId: parseId(sessionId)! })
  }
}
