import { type Collection, type Db } from 'mongodb'

interface LeaseDocument {
  /** What is held. */
  _id: string
  holder: string
  until: Date
}

// As numbers, because SecantusDB 0.7 finds no order between `$$NOW` and a stored date.
const isPast = { $lt: [{ $toLong: { $ifNull: ['$until', new Date(0)] } }, { $toLong: '$$NOW' }] }

/** The collection `leases`: work that one process at a time may do, judged by the store's clock. */
export class LeaseRepository {
  readonly #collection: Collection<LeaseDocument>

  constructor (db: Db) {
    this.#collection = db.collection('leases')
  }

  /** Takes a lease that is free, or renews our own. False: somebody else holds it. */
  async hold (name: string, holder: string, leaseMs: number): Promise<boolean> {
    const mayHold = { $or: [isPast, { $eq: ['$holder', { $literal: holder }] }] }
    const lease = await this.#collection.findOneAndUpdate({ _id: name }, [{
      $set: {
        holder: { $cond: [mayHold, { $literal: holder }, '$holder'] },
        until: { $cond: [mayHold, { $add: ['$$NOW', leaseMs] }, '$until'] }
      }
    }], { upsert: true, returnDocument: 'after' })
    return lease?.holder === holder
  }

  /** Gives our lease back. */
  async release (name: string, holder: string): Promise<void> {
    await this.#collection.deleteOne({ _id: name, holder })
  }
}
