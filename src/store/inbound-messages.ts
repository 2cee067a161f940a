import { randomUUID } from 'node:crypto'
import { type Collection, type Db, type Document, type Filter, MongoServerError, type ObjectId } from 'mongodb'
import { type ErrorCode } from '../errors.ts'
import { type Job } from '../jobs/job-queue.ts'
import { DueJobs, type JobMark } from './due-jobs.ts'
import { type Person } from './erasures.ts'
import { newId, parseId } from './ids.ts'
import { addEntry, type OutboxEntry, OutboxRepository, outboxIndex, type WithOutbox } from './outbox.ts'
import { type StoreClock } from './store-clock.ts'

/** What was said, until there is a reply to it. */
export interface Said {
  /** The end user that the session belongs to. */
  readonly userId: string
  readonly channel: string
  readonly externalUserId: string
  readonly text: string
  readonly deliveryId: string
  readonly externalMessageId?: string
  readonly metadata?: Record<string, unknown>
  /** The API key that it came with. */
  readonly keyId: string | null
  readonly sessionIdleMinutes: number
}

/** A message from outside, and what becomes of it. */
export interface InboundMessage {
  readonly id: string
  readonly tenantId: string
  /** Null: it came with a credential. */
  readonly integrationId: string | null
  readonly configId: string
  /** Stands for the delivery; there is one message with it. */
  readonly key: string
  /** Of what came with an `Idempotency-Key`: a hash of what it was. */
  readonly requestHash?: string
  /** Stands for the user: what they say is answered in the order in which it came. */
  readonly conversation: string
  readonly status: 'queued' | 'completed' | 'failed'
  /** Replies that have failed. */
  readonly attempts: number
  readonly said?: Said
  readonly sessionId: string | null
  readonly userMessageId: string | null
  readonly botMessageId: string | null
  readonly error: InboundError | null
  readonly receivedAt: Date
  readonly endedAt: Date | null
}

export interface InboundError {
  readonly code: ErrorCode
  readonly detail: string
}

export type NewInboundMessage = Pick<InboundMessage, 'tenantId' | 'integrationId' | 'configId' | 'key' | 'requestHash' | 'conversation'> & { readonly said: Said }

export interface Received {
  readonly message: InboundMessage
  readonly isNew: boolean
}

/** A message that this process is to have answered. */
export type InboundJob = Job & InboundMessage & { readonly said: Said }

type References = 'integrationId' | 'configId' | 'sessionId' | 'userMessageId' | 'botMessageId'

interface InboundDocument extends Omit<InboundMessage, 'id' | References>, Record<References, ObjectId | null>, WithOutbox {
  _id: ObjectId
  job?: JobMark
  /** When it is forgotten, and a repeat of it would be a new message. */
  expiresAt?: Date
}

// Longer than any sender tries again.
const KEPT_MS = 30 * 86_400_000

const hexOf = (id: ObjectId | null) => id?.toHexString() ?? null
const idOf = (id: string | null) => id === null ? null : parseId(id)!

function toMessage (document: InboundDocument): InboundMessage {
  const { _id, integrationId, configId, sessionId, userMessageId, botMessageId, job: _j, expiresAt: _e, outbox: _o, outboxSince: _os, ...rest } = document
  return {
    id: _id.toHexString(),
    integrationId: hexOf(integrationId),
    configId: configId!.toHexString(),
    sessionId: hexOf(sessionId),
    userMessageId: hexOf(userMessageId),
    botMessageId: hexOf(botMessageId),
    ...rest
  }
}

/** The collection `inboundMessages`: messages that came by webhooks, which are jobs until they are answered. */
export class InboundMessageRepository {
  readonly outbox: OutboxRepository
  readonly #collection: Collection<InboundDocument>
  readonly #jobs: DueJobs<InboundDocument & Document>
  readonly #clock: StoreClock
  readonly #receiving = new Map<string, Promise<Received>>()

  constructor (db: Db, clock: StoreClock) {
    this.outbox = new OutboxRepository(db.collection('inboundMessages'))
    this.#collection = db.collection('inboundMessages')
    this.#jobs = new DueJobs(this.#collection, clock)
    this.#clock = clock
  }

  async createIndexes (): Promise<void> {
    const queued = { partialFilterExpression: { 'job.dueAt': { $exists: true } } }
    await this.#collection.createIndexes([
      { key: { key: 1 }, unique: true },
      DueJobs.index,
      { key: { 'job.group': 1, receivedAt: 1, _id: 1 }, ...queued },
      { key: { tenantId: 1, 'said.userId': 1 }, partialFilterExpression: { 'said.userId': { $exists: true } } },
      { key: { sessionId: 1 } },
      { key: { configId: 1 } },
      { key: { integrationId: 1 } },
      { key: { expiresAt: 1 }, expireAfterSeconds: 0 },
      outboxIndex
    ])
  }

  /** Takes a message on, as a job that is due. `isNew`: no; the same delivery was taken on before, and this is it. */
  async receive (message: NewInboundMessage): Promise<Received> {
    // Those that come at once share one write: a flood of repeats costs the store nothing.
    const running = this.#receiving.get(message.key)
    if (running) return { ...await running, isNew: false }
    const receiving = this.#receive(message).finally(() => this.#receiving.delete(message.key))
    this.#receiving.set(message.key, receiving)
    return await receiving
  }

  async #receive (message: NewInboundMessage): Promise<Received> {
    const fresh: Omit<InboundDocument, '_id' | 'receivedAt'> = {
      ...message,
      integrationId: idOf(message.integrationId),
      configId: idOf(message.configId),
      status: 'queued',
      attempts: 0,
      sessionId: null,
      userMessageId: null,
      botMessageId: null,
      error: null,
      endedAt: null,
      job: await this.#jobs.dueNow(message.conversation)
    }
    for (;;) {
      const received = await this.#insert(fresh)
      if (received) return { message: toMessage(received), isNew: true }
      const earlier = await this.#collection.findOne({ key: message.key })
      if (earlier) return { message: toMessage(earlier), isNew: false }
    }
  }

  /** Dated by the store: the order over all processes is that of its clock. Undefined: there is one with its key. */
  async #insert (fresh: Omit<InboundDocument, '_id' | 'receivedAt'>): Promise<InboundDocument | undefined> {
    const fields = Object.fromEntries(Object.entries(fresh).map(([name, value]) => [name, { $literal: value }]))
    try {
      return await this.#collection.findOneAndUpdate(
        { _id: parseId(newId())! }, [{ $set: { ...fields, receivedAt: '$$NOW' } }], { upsert: true, returnDocument: 'after' }
      ) ?? undefined
    } catch (error) {
      if (error instanceof MongoServerError && error.code === 11000) return undefined
      throw error
    }
  }

  async find (tenantId: string, id: string): Promise<InboundMessage | undefined> {
    const document = await this.#collection.findOne({ _id: parseId(id)!, tenantId })
    return document ? toMessage(document) : undefined
  }

  async dueGroups (): Promise<string[]> {
    return await this.#jobs.dueGroups()
  }

  /** Takes what a user has said first, where it is due and nobody else has it. What they said later waits for it. */
  async claim (conversation: string, leaseMs: number): Promise<InboundJob | undefined> {
    const first = await this.#collection.findOne({ 'job.group': conversation }, { sort: { receivedAt: 1, _id: 1 } })
    if (!first?.job || first.job.dueAt.getTime() > await this.#clock.now()) return undefined
    const lease = randomUUID()
    const taken = await this.#collection.findOneAndUpdate(
      { _id: first._id, 'job.lease': first.job.lease, 'job.dueAt': first.job.dueAt },
      [{ $set: { 'job.lease': lease, 'job.dueAt': { $add: ['$$NOW', leaseMs] } } }],
      { returnDocument: 'after' }
    )
    return taken ? { ...toMessage(taken), lease } as InboundJob : undefined
  }

  async renew (job: Job, leaseMs: number): Promise<boolean> {
    return await this.#jobs.renew(job, leaseMs)
  }

  async release (job: Job): Promise<void> {
    await this.#jobs.release(job)
  }

  /** Binds a message to the session that it is to be said in. False: it is not ours any more. */
  async bind (job: Job, sessionId: string): Promise<boolean> {
    return await this.#write(job, { $set: { sessionId: parseId(sessionId)! } })
  }

  /** It was answered. What was said is kept in the session only. */
  async complete (job: Job, userMessageId: string, botMessageId: string, now: Date): Promise<void> {
    await this.#end(job, { status: 'completed', userMessageId: parseId(userMessageId)!, botMessageId: parseId(botMessageId)!, error: null }, now)
  }

  /** It could not be answered, and is to be tried again after a while. */
  async postpone (job: Job, ms: number, error: InboundError): Promise<void> {
    await this.#jobs.postpone(job, ms, { attempts: { $add: ['$attempts', 1] }, error: { $literal: error } })
  }

  /** It is not going to be answered. `entry`: what is told of that. False: it is not ours any more. */
  async fail (job: Job, error: InboundError, now: Date, entry?: OutboxEntry): Promise<boolean> {
    return await this.#end(job, { status: 'failed', error }, now, entry)
  }

  /** Forgets what a person has said and was not answered yet. */
  async erase ({ tenantId, userId }: Person): Promise<void> {
    await this.#collection.deleteMany({ tenantId, 'said.userId': userId })
  }

  /** Forgets what is to be said in sessions that are removed. What was answered holds nothing of it, and a repeat must still find it. */
  async removeOfSessions (sessionIds: readonly string[]): Promise<void> {
    await this.#collection.deleteMany({ sessionId: { $in: sessionIds.map((id) => parseId(id)!) }, status: 'queued' })
  }

  async removeOfConfig (configId: string): Promise<void> {
    await this.#collection.deleteMany({ configId: parseId(configId)! })
  }

  async removeOfIntegration (tenantId: string, integrationId: string): Promise<void> {
    await this.#collection.deleteMany({ tenantId, integrationId: parseId(integrationId)! })
  }

  async #end (job: Job, fields: Document, now: Date, entry?: OutboxEntry): Promise<boolean> {
    const { set, push } = addEntry(entry)
    return await this.#write(job, {
      $set: { ...fields, endedAt: now, expiresAt: new Date(now.getTime() + KEPT_MS), ...set },
      $inc: { attempts: 1 },
      $unset: { job: '', said: '' },
      ...push
    })
  }

  async #write ({ id, lease }: Job, update: Document): Promise<boolean> {
    const filter: Filter<InboundDocument> = { _id: parseId(id)!, 'job.lease': lease }
    return (await this.#collection.updateOne(filter, update)).matchedCount === 1
  }
}
