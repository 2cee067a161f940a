import { type Collection, type Document, type Filter } from 'mongodb'
import { parseId } from './ids.ts'

/** An event that is kept with its cause, written with it, until it is on its way. */
export interface OutboxEntry {
  readonly id: string
  readonly type: string
  readonly timestamp: Date
  readonly data: object
}

/** What a document has that causes events. */
export interface WithOutbox {
  outbox?: OutboxEntry[]
  /** Set while there are entries, so that they are found when their process has died. */
  outboxSince?: Date | null
}

/** Entries of a document. */
export interface LeftEntries {
  /** The document. */
  readonly key: string
  readonly tenantId: string
  readonly entries: readonly OutboxEntry[]
}

export const outboxIndex = {
  key: { outboxSince: 1 }, partialFilterExpression: { outboxSince: { $type: 'date' } }, name: 'outbox'
} as const

/** The fields of a new document with an entry. */
export const withEntry = (entry: OutboxEntry | undefined): WithOutbox => entry ? { outbox: [entry], outboxSince: entry.timestamp } : {}

/** What an update without a pipeline does to add an entry. */
export const addEntry = (entry: OutboxEntry | undefined) => ({
  set: entry ? { outboxSince: entry.timestamp } : {}, push: entry ? { $push: { outbox: entry } } : {}
})

/** What a pipeline sets to add an entry. */
export const addingEntry = (entry: OutboxEntry): Document => ({
  outbox: { $concatArrays: [{ $ifNull: ['$outbox', []] }, [{ $literal: entry }]] }, outboxSince: { $literal: entry.timestamp }
})

type Holder = Document & WithOutbox & { tenantId: string }

/** The events in the documents of one collection that are not on their way yet. */
export class OutboxRepository {
  readonly #collection: Collection<Holder>

  constructor (collection: Collection<never>) {
    this.#collection = collection as unknown as Collection<Holder>
  }

  /** What was left before some moment, the oldest first. */
  async left (before: Date, limit: number): Promise<LeftEntries[]> {
    const found = await this.#collection
      .find({ outboxSince: { $type: 'date', $lt: before } })
      .project<Pick<Holder, '_id' | 'tenantId' | 'outbox'>>({ tenantId: 1, outbox: 1 })
      .sort({ outboxSince: 1 })
      .limit(limit)
      .toArray()
    return found.map(({ _id, tenantId, outbox = [] }) => ({ key: String(_id), tenantId, entries: outbox }))
  }

  /** Takes entries out that are on their way. */
  async settle (key: string, ids: readonly string[]): Promise<void> {
    const rest = { $filter: { input: { $ifNull: ['$outbox', []] }, cond: { $not: [{ $in: ['$$this.id', ids] }] } } }
    await this.#collection.updateOne({ _id: parseId(key) ?? key } as Filter<Holder>, [
      { $set: { outbox: rest } },
      { $set: { outboxSince: { $cond: [{ $eq: ['$outbox', []] }, null, '$outboxSince'] } } }
    ])
  }
}
