import { type Collection, type Db, type Filter, MongoBulkWriteError, MongoServerError, type ObjectId } from 'mongodb'
import { type JobQueue } from '../jobs/job-queue.ts'
import { type Backlog, DueJobs, type Held, type JobMark } from './due-jobs.ts'
import { newId, parseId } from './ids.ts'
import { ofSession, ofUser } from './legal-holds.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'
import { type StoreClock } from './store-clock.ts'

const KEPT_ATTEMPTS = 30
const [NO_COLLECTION, NO_INDEX] = [26, 27]

export type DeliveryStatus = 'pending' | 'delivered' | 'failed' | 'cancelled'

/** One try to deliver, and what came of it. */
export interface DeliveryAttempt {
  readonly at: Date
  /** Null: there was no answer. */
  readonly status: number | null
  /** Why there was none. */
  readonly error: string | null
  readonly latencyMs: number
  /** The beginning of the answer. */
  readonly answer: string | null
}

/** An event on its way to an endpoint. */
export interface Delivery {
  readonly id: string
  readonly tenantId: string
  readonly endpointId: string
  readonly eventId: string
  readonly type: string
  readonly status: DeliveryStatus
  readonly attempts: readonly DeliveryAttempt[]
  /** How many attempts there were since it was last asked for. */
  readonly tries: number
  readonly createdAt: Date
  readonly completedAt: Date | null
  /** Null: there is none to come, or it is being made. */
  readonly nextAttemptAt: Date | null
}

/** A delivery that this process has taken. */
export interface TakenDelivery extends Delivery, Held {
  readonly body: string
}

export interface NewDelivery {
  readonly tenantId: string
  readonly eventId: string
  readonly type: string
  readonly body: string
  readonly sessionId: string | null
  readonly messageId: string | null
  readonly userId: string | null
}

/** Which deliveries of an endpoint to send once more. */
export interface RedeliveryRange {
  readonly from: Date
  readonly to: Date
  readonly status?: DeliveryStatus | undefined
}

/** A delivery in the order of their making. */
export interface Position {
  readonly at: Date
  readonly id: string
}

interface DeliveryDocument extends Omit<Delivery, 'id' | 'endpointId' | 'nextAttemptAt'> {
  _id: ObjectId
  endpointId: ObjectId
  body: string
  /** Whose data the body holds. */
  about: string[]
  job?: JobMark
}

export const deliveryGroup = (tenantId: string, endpointId: string) => `${tenantId}/${endpointId}`

const ofMessage = (id: string) => `message:${id}`

function toDelivery ({ _id, endpointId, body: _body, about: _about, job, ...rest }: DeliveryDocument): Delivery {
  return { id: _id.toHexString(), endpointId: endpointId.toHexString(), ...rest, nextAttemptAt: job?.lease === null ? job.dueAt : null }
}

/** The collection `webhookDeliveries`: what is to be delivered, and the log of what was, for as long as its tenant keeps it. */
export class WebhookDeliveryRepository implements JobQueue<TakenDelivery> {
  readonly #collection: Collection<DeliveryDocument>
  readonly #jobs: DueJobs<DeliveryDocument>

  constructor (db: Db, clock: StoreClock) {
    this.#collection = db.collection('webhookDeliveries')
    this.#jobs = new DueJobs(this.#collection, clock)
  }

  async createIndexes (): Promise<void> {
    // Earlier versions have the store remove them by itself, whoever is to keep them, and any of their starts makes it so again.
    await this.#collection.dropIndex('createdAt_1').catch((error: unknown) => {
      if (!(error instanceof MongoServerError && (error.code === NO_COLLECTION || error.code === NO_INDEX))) throw error
    })
    await this.#collection.createIndexes([
      DueJobs.index,
      { key: { endpointId: 1, eventId: 1 }, unique: true },
      { key: { endpointId: 1, createdAt: -1, _id: -1 } },
      { key: { endpointId: 1, status: 1, createdAt: -1, _id: -1 } },
      { key: { about: 1 } },
      { key: { tenantId: 1, createdAt: 1 } }
    ])
  }

  /** Takes on the deliveries of an event; those that are there already stay as they are. Answers them, as if all were new. */
  async insert (event: NewDelivery, endpointIds: readonly string[]): Promise<Array<{ readonly id: string, readonly group: string }>> {
    const { tenantId, eventId, type, body, sessionId, messageId, userId } = event
    const about = [
      ...(sessionId ? [ofSession(sessionId)] : []), ...(messageId ? [ofMessage(messageId)] : []), ...(userId ? [ofUser(userId)] : [])
    ]
    const documents = await Promise.all(endpointIds.map(async (endpointId): Promise<DeliveryDocument> => ({
      _id: parseId(newId())!,
      tenantId,
      endpointId: parseId(endpointId)!,
      eventId,
      type,
      body,
      about,
      status: 'pending',
      attempts: [],
      tries: 0,
      createdAt: new Date(),
      completedAt: null,
      job: await this.#jobs.dueNow(deliveryGroup(tenantId, endpointId))
    })))
    try {
      await this.#collection.insertMany(documents, { ordered: false })
    } catch (error) {
      const errors = error instanceof MongoBulkWriteError ? [error.writeErrors].flat() : []
      if (errors.length === 0 || errors.some(({ code }) => code !== 11000)) throw error
    }
    return documents.map(({ _id, job }) => ({ id: _id.toHexString(), group: job!.group }))
  }

  async dueGroups (): Promise<string[]> {
    return await this.#jobs.dueGroups()
  }

  async backlog (): Promise<Backlog> {
    return await this.#jobs.backlog()
  }

  async claim (group: string, leaseMs: number): Promise<TakenDelivery | undefined> {
    const claimed = await this.#jobs.claim(group, leaseMs)
    return claimed && { ...toDelivery(claimed.document), body: claimed.document.body, lease: claimed.lease }
  }

  async renew (delivery: Held, leaseMs: number): Promise<boolean> {
    return await this.#jobs.renew(delivery, leaseMs)
  }

  async release (delivery: Held): Promise<void> {
    await this.#jobs.release(delivery)
  }

  /** Notes an attempt that has failed; the next one is made after `ms`. */
  async retry (delivery: Held, attempt: DeliveryAttempt, ms: number): Promise<void> {
    await this.#jobs.postpone(delivery, ms, attempted(attempt))
  }

  /** Notes the last attempt, if there was one: nothing more is done. */
  async complete (delivery: Held, status: Exclude<DeliveryStatus, 'pending'>, attempt?: DeliveryAttempt): Promise<void> {
    await this.#jobs.end(delivery, { status, completedAt: '$$NOW', ...(attempt && attempted(attempt)) })
  }

  async find (tenantId: string, endpointId: string, id: string): Promise<Delivery | undefined> {
    const document = await this.#collection.findOne({ _id: parseId(id)!, tenantId, endpointId: parseId(endpointId)! })
    return document ? toDelivery(document) : undefined
  }

  /** The newest first. */
  async page (tenantId: string, endpointId: string, status: DeliveryStatus | undefined, request: PageRequest): Promise<PageOf<Delivery>> {
    const filter: Filter<DeliveryDocument> = { tenantId, endpointId: parseId(endpointId)!, ...(status && { status }) }
    const { data, nextCursor } = await findPage(this.#collection, filter, 'createdAt', request)
    return { data: data.map(toDelivery), nextCursor }
  }

  /** Has a delivery made once more, from the first attempt on; one that is being made just now stays as it is. */
  async redeliver (tenantId: string, endpointId: string, id: string): Promise<void> {
    await this.#again({ _id: parseId(id)!, tenantId, endpointId: parseId(endpointId)! }, deliveryGroup(tenantId, endpointId))
  }

  /** The same for up to `limit` deliveries behind `after`, the oldest first. Answers how many, and, if there may be more, the last. */
  async redeliverBetween (
    tenantId: string, endpointId: string, { from, to, status }: RedeliveryRange, after: Position | undefined, limit: number
  ): Promise<{ readonly count: number, readonly last: Position | undefined }> {
    const found = await this.#collection
      .find({
        tenantId,
        endpointId: parseId(endpointId)!,
        ...(status && { status }),
        createdAt: { $gte: after?.at ?? from, $lte: to },
        ...(after && { $or: [{ createdAt: { $gt: after.at } }, { _id: { $gt: parseId(after.id)! } }] })
      })
      .project<{ _id: ObjectId, createdAt: Date }>({ createdAt: 1 })
      .sort({ createdAt: 1, _id: 1 })
      .limit(limit)
      .toArray()
    const count = await this.#again({ _id: { $in: found.map(({ _id }) => _id) }, tenantId }, deliveryGroup(tenantId, endpointId))
    const last = found.length < limit ? undefined : found.at(-1)
    return { count, last: last && { at: last.createdAt, id: last._id.toHexString() } }
  }

  /** Removes what holds data of these sessions. */
  async removeOfSessions (sessionIds: readonly string[]): Promise<void> {
    await this.#collection.deleteMany({ about: { $in: sessionIds.map(ofSession) } })
  }

  /** Removes what holds data of these messages. */
  async removeOfMessages (messageIds: readonly string[]): Promise<void> {
    await this.#collection.deleteMany({ about: { $in: messageIds.map(ofMessage) } })
  }

  /** Removes what holds data of an end user. */
  async removeOfUser ({ tenantId, userId }: { readonly tenantId: string, readonly userId: string }): Promise<void> {
    await this.#collection.deleteMany({ about: ofUser(userId), tenantId })
  }

  /** The first tenant behind `tenantId` that has deliveries, and when its oldest one was made. */
  async nextTenant (tenantId: string): Promise<{ readonly tenantId: string, readonly oldest: Date } | undefined> {
    const [first] = await this.#collection
      .find({ tenantId: { $gt: tenantId } })
      .project<Pick<Delivery, 'tenantId' | 'createdAt'>>({ tenantId: 1, createdAt: 1 })
      .sort({ tenantId: 1, createdAt: 1 })
      .limit(1)
      .toArray()
    return first && { tenantId: first.tenantId, oldest: first.createdAt }
  }

  /** Removes up to `limit` deliveries of a tenant that are over, were made before some moment and hold nothing of `kept`. Answers how many. */
  async removeBefore (tenantId: string, moment: Date, kept: readonly string[], limit: number): Promise<number> {
    const over: Filter<DeliveryDocument> = { job: { $exists: false } }
    const found = await this.#collection
      .find({ tenantId, createdAt: { $lt: moment }, ...over, about: { $nin: [...kept] } })
      .project<{ _id: ObjectId }>({ _id: 1 })
      .sort({ createdAt: 1 })
      .limit(limit)
      .toArray()
    if (found.length === 0) return 0
    return (await this.#collection.deleteMany({ _id: { $in: found.map(({ _id }) => _id) }, ...over })).deletedCount
  }

  /** Removes up to `limit` deliveries of an endpoint. True: that were all. */
  async removeOfEndpoint (tenantId: string, endpointId: string, limit: number): Promise<boolean> {
    const found = await this.#collection
      .find({ tenantId, endpointId: parseId(endpointId)! }).project<{ _id: ObjectId }>({ _id: 1 }).limit(limit).toArray()
    if (found.length > 0) await this.#collection.deleteMany({ _id: { $in: found.map(({ _id }) => _id) } })
    return found.length < limit
  }

  async #again (filter: Filter<DeliveryDocument>, group: string): Promise<number> {
    const job = await this.#jobs.dueNow(group)
    const { modifiedCount } = await this.#collection.updateMany(
      // Null: it waits, or there is nothing to do any more.
      { ...filter, 'job.lease': null }, { $set: { status: 'pending', tries: 0, completedAt: null, job } }
    )
    return modifiedCount
  }
}

/** The fields of a delivery after one more attempt. */
function attempted (attempt: DeliveryAttempt) {
  const kept = { $concatArrays: ['$attempts', [{ $literal: attempt }]] }
  return { attempts: { $slice: [kept, -KEPT_ATTEMPTS] }, tries: { $add: ['$tries', 1] } }
}
