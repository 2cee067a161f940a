import { type Collection, type Db } from 'mongodb'
import { insertNew } from './insert-new.ts'

interface CounterDocument {
  _id: string
  count: number
  /** The end of the window, and when it was last counted. */
  until: Date
  at: Date
}

// As numbers, because SecantusDB 0.7 finds no order between `$$NOW` and a stored date.
const isOver = { $lte: [{ $toLong: '$until' }, { $toLong: '$$NOW' }] }

/** The collection `counters`: how often something was done in its window, by the store's clock. They go by themselves. */
export class CounterRepository {
  readonly #collection: Collection<CounterDocument>

  constructor (db: Db) {
    // A count that is lost with a primary allows one more; waiting for others would cost every request.
    this.#collection = db.collection('counters', { writeConcern: { w: 1 } })
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { until: 1 }, expireAfterSeconds: 0 }])
  }

  /** Counts so many times more, in a window that begins with its first count, and tells the last one. */
  async count (key: string, windowMs: number, times = 1): Promise<{ count: number, resetMs: number }> {
    for (;;) {
      // No upsert: of several that insert at once, SecantusDB 0.7 tells all but one nothing of what they have counted.
      const counter = await this.#collection.findOneAndUpdate({ _id: key }, [{
        $set: {
          count: { $cond: [isOver, times, { $add: ['$count', times] }] },
          until: { $cond: [isOver, { $add: ['$$NOW', windowMs] }, '$until'] },
          at: '$$NOW'
        }
      }], { returnDocument: 'after' })
      // A command's clock stands from when it came, so one that waited may be older than the window it counts in.
      if (counter) return { count: counter.count, resetMs: Math.min(windowMs, counter.until.getTime() - counter.at.getTime()) }
      await insertNew(this.#collection, { _id: key, count: 0, until: new Date(0), at: new Date(0) })
    }
  }
}
