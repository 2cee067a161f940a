import { randomUUID } from 'node:crypto'
import { type Collection, type Document, type Filter, type IndexDescription, type ObjectId } from 'mongodb'
import { parseId } from './ids.ts'
import { type StoreClock } from './store-clock.ts'

/** What makes a document a job, for as long as there is something to do. */
export interface JobMark {
  readonly group: string
  /** When it is to be done; while somebody does it, when their lease lapses. */
  readonly dueAt: Date
  readonly lease: string | null
}

interface JobDocument extends Document {
  _id: ObjectId
  job?: JobMark
}

/** A job that is taken, by its id and the lease that was given with it. */
export interface Held {
  readonly id: string
  readonly lease: string
}

// How many groups one look passes over; the next look goes on behind them.
const GROUPS = 100
// Replicas know the store's time to a few milliseconds only: what is new must be due for all of them.
const MARGIN_MS = 1000

const COUNTED = 1000

/** Jobs that are due and that nobody does. */
export interface Backlog {
  /** At most 1000 are counted. */
  readonly count: number
  /** How long the one has waited that has waited longest, of those that were counted. */
  readonly oldestMs: number
}

const sooner = (ms: number) => ({ $add: ['$$NOW', ms] })

/** The jobs in a collection whose documents carry a `job` while there is something to do. Judged by the store's clock. */
export class DueJobs<T extends JobDocument> {
  static readonly index: IndexDescription = {
    key: { 'job.group': 1, 'job.dueAt': 1 }, partialFilterExpression: { 'job.dueAt': { $exists: true } }
  }

  readonly #collection: Collection<JobDocument>
  readonly #clock: StoreClock
  #lookedAt = ''

  constructor (collection: Collection<T>, clock: StoreClock) {
    this.#collection = collection as unknown as Collection<JobDocument>
    this.#clock = clock
  }

  /** For a new document: to be done at once, after those of its group that wait already. */
  async dueNow (group: string): Promise<JobMark> {
    return { group, dueAt: new Date(await this.#clock.now() - MARGIN_MS), lease: null }
  }

  /** Groups whose first job is due. It hops from the head of one group to that of the next, however many jobs there are in them. */
  async dueGroups (): Promise<string[]> {
    const now = await this.#clock.now()
    const due: string[] = []
    for (let looked = 0; looked < GROUPS; looked++) {
      const head: JobDocument | null = await this.#collection.findOne(
        { 'job.group': { $gt: this.#lookedAt }, 'job.dueAt': { $gt: new Date(0) } },
        { sort: { 'job.group': 1, 'job.dueAt': 1 }, projection: { job: 1 } }
      )
      this.#lookedAt = head?.job?.group ?? ''
      if (!head?.job) break
      if (head.job.dueAt.getTime() <= now) due.push(head.job.group)
    }
    return due
  }

  async backlog (): Promise<Backlog> {
    const now = await this.#clock.now()
    const [found] = await this.#collection.aggregate<{ count: number, oldest: Date }>([
      { $match: { 'job.group': { $gt: '' }, 'job.dueAt': { $gt: new Date(0), $lte: new Date(now) } } },
      { $limit: COUNTED },
      { $group: { _id: null, count: { $sum: 1 }, oldest: { $min: '$job.dueAt' } } }
    ], { maxTimeMS: 1000 }).toArray()
    return { count: found?.count ?? 0, oldestMs: found ? Math.max(0, now - found.oldest.getTime()) : 0 }
  }

  /** Takes the first job of a group that is due. */
  async claim (group: string, leaseMs: number): Promise<{ readonly document: T, readonly lease: string } | undefined> {
    const lease = randomUUID()
    const document = await this.#collection.findOneAndUpdate(
      { 'job.group': group, 'job.dueAt': { $lte: new Date(await this.#clock.now()) } },
      [{ $set: { 'job.lease': lease, 'job.dueAt': sooner(leaseMs) } }],
      { sort: { 'job.dueAt': 1 }, returnDocument: 'after' }
    )
    return document ? { document: document as unknown as T, lease } : undefined
  }

  /** Keeps a job for longer. False: it is not ours any more. */
  async renew (held: Held, leaseMs: number): Promise<boolean> {
    return await this.#write(held, [{ $set: { 'job.dueAt': sooner(leaseMs) } }])
  }

  /** Gives a job back that was not done. */
  async release (held: Held): Promise<void> {
    await this.#write(held, [{ $set: { 'job.lease': null, 'job.dueAt': sooner(-MARGIN_MS) } }])
  }

  /** Has a job done again later, and sets these fields (expressions) with it. False: it was not ours any more. */
  async postpone (held: Held, ms: number, fields: Document): Promise<boolean> {
    return await this.#write(held, [{ $set: { ...fields, 'job.lease': null, 'job.dueAt': sooner(ms) } }])
  }

  /** There is nothing more to do; sets these fields (expressions) with it. False: it was not ours any more. */
  async end (held: Held, fields: Document): Promise<boolean> {
    return await this.#write(held, [{ $set: fields }, { $unset: 'job' }])
  }

  async #write ({ id, lease }: Held, update: Document[]): Promise<boolean> {
    const filter: Filter<JobDocument> = { _id: parseId(id)!, 'job.lease': lease }
    const { matchedCount } = await this.#collection.updateOne(filter, update)
    return matchedCount === 1
  }
}
