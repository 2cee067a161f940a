import { type Collection, type Db, ObjectId } from 'mongodb'

// What a signal says is of no use after a few seconds; the rest is room for a server that is slow to expire.
const KEEP_SECONDS = 60
// A write is dated before it can be read: what is dated this much before the newest signal seen may still turn up.
const OVERLAP_MS = 5000
const LIMIT = 500

/** What one replica tells the others. Flat, so that nobody has to trust its shape. */
export type SignalPayload = Readonly<Record<string, string | number>>

export interface Signal {
  readonly topic: string
  readonly payload: SignalPayload
}

interface SignalDocument extends Signal {
  _id: ObjectId
  /** Which replica sent it. */
  from: string
  at: Date
}

/** The collection `signals`: short-lived notes between replicas, dated by the store's clock alone. */
export class SignalRepository {
  readonly #collection: Collection<SignalDocument>

  constructor (db: Db) {
    this.#collection = db.collection('signals')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { at: 1 }, expireAfterSeconds: KEEP_SECONDS }])
  }

  async send (from: string, { topic, payload }: Signal): Promise<void> {
    // An upsert, because only a pipeline knows the store's time.
    await this.#collection.updateOne(
      { _id: new ObjectId() },
      [{ $set: { at: '$$NOW', from: { $literal: from }, topic: { $literal: topic }, payload: { $literal: payload } } }],
      { upsert: true }
    )
  }

  /** A place to read on from: what others than `reader` send. */
  cursor (reader: string): SignalCursor {
    return new SignalCursor(this.#collection, reader)
  }
}

/** Reads on where it stopped, by the store's dates, over a stretch that overlaps with what was read before. */
export class SignalCursor {
  readonly #collection: Collection<SignalDocument>
  readonly #reader: string
  #newest: Date | undefined
  #seen = new Set<string>()

  constructor (collection: Collection<SignalDocument>, reader: string) {
    this.#collection = collection
    this.#reader = reader
  }

  /** What came since the last call, the oldest first, at most the newest 500. */
  async next (): Promise<Signal[]> {
    const after = this.#newest && new Date(this.#newest.getTime() - OVERLAP_MS)
    const found = await this.#collection
      .find({ from: { $ne: this.#reader }, ...(after && { at: { $gt: after } }) })
      .sort({ at: -1 })
      .limit(LIMIT)
      .toArray()
    const fresh = found.filter(({ _id }) => !this.#seen.has(_id.toHexString()))
    this.#seen = new Set(found.map(({ _id }) => _id.toHexString()))
    this.#newest = found[0]?.at ?? this.#newest
    return fresh.reverse()
  }
}
