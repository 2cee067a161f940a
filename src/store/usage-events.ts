import { type Collection, type Db, type Filter, MongoBulkWriteError, type ObjectId } from 'mongodb'
import { parseId } from './ids.ts'

/** What a model was called for. */
export type Purpose = 'reply' | 'title' | 'summary' | 'specification' | 'embedding'

/** What one attempt took. */
export interface Spent {
  readonly model: string
  /** `completed`, `aborted`, or the code of an error. */
  readonly outcome: string
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cachedTokens: number
  /** Millionths of a dollar by list price; 0 where the price is not known. */
  readonly microUsd: number
  /** The tokens were counted here, because the model did not say. */
  readonly estimated: boolean
}

/** One attempt, as the ledger keeps it for good. Nobody is named in it. */
export interface UsageEvent extends Spent {
  /** The reply, or whatever else the attempts were made for. */
  readonly source: string
  /** From 1. */
  readonly attempt: number
  readonly tenantId: string
  readonly at: Date
  readonly configId: string | null
  /** Stands for the end user. */
  readonly user: string | null
  readonly keyId: string | null
  readonly purpose: Purpose
}

/** Which events are meant: `from` included, `to` not. */
export interface UsageFilter {
  readonly tenantId: string
  readonly from: Date
  readonly to?: Date
  readonly configId?: string
  readonly user?: string
  readonly keyId?: string
  readonly model?: string
}

export const usageGroups = ['day', 'config', 'user', 'key', 'model'] as const

export type UsageGroup = typeof usageGroups[number]

/** Sums of events that have the members of `group` in common. */
export interface UsageSum {
  readonly group: Readonly<Partial<Record<UsageGroup, string | null>>>
  readonly messages: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cachedTokens: number
  readonly microUsd: number
}

interface EventDocument extends Omit<UsageEvent, 'configId'> {
  /** `<source>:<attempt>`, so that it is there once, however often it is recorded. */
  _id: string
  configId: ObjectId | null
  /** 1 on the first attempt at a reply, so that replies can be counted by summing. */
  messages: 0 | 1
  /** The day of `at` in UTC, as text. */
  day: string
}

const fieldOf: Readonly<Record<UsageGroup, string>> = {
  day: '$day', config: '$configId', user: '$user', key: '$keyId', model: '$model'
}

function toDocument (event: UsageEvent): EventDocument {
  const { source, attempt, configId, at, purpose } = event
  return {
    _id: `${source}:${attempt}`,
    ...event,
    configId: configId === null ? null : parseId(configId)!,
    messages: purpose === 'reply' && attempt === 1 ? 1 : 0,
    day: at.toISOString().slice(0, 10)
  }
}

function toFilter ({ from, to, configId, ...rest }: UsageFilter): Filter<EventDocument> {
  return {
    ...rest,
    at: { $gte: from, ...(to && { $lt: to }) },
    // One that cannot be an id is nobody's.
    ...(configId !== undefined && { configId: parseId(configId) ?? null })
  }
}

const sum = (field: string) => ({ $sum: `$${field}` })

/** The collection `usageEvents`: one document for each time that a model was called. They are never changed. */
export class UsageEventRepository {
  readonly #collection: Collection<EventDocument>

  constructor (db: Db) {
    this.#collection = db.collection('usageEvents')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { tenantId: 1, at: 1 } }])
  }

  /** Adds events; those that are there already stay as they are. */
  async add (events: readonly UsageEvent[]): Promise<void> {
    if (events.length === 0) return
    try {
      await this.#collection.insertMany(events.map(toDocument), { ordered: false })
    } catch (error) {
      const isKnown = error instanceof MongoBulkWriteError && [error.writeErrors].flat().every(({ code }) => code === 11000)
      if (!isKnown) throw error
    }
  }

  /** Sums of events by what they are to have in common. `without`: sources that are left out. */
  async sums (filter: UsageFilter, groupBy: readonly UsageGroup[], without: readonly string[] = []): Promise<UsageSum[]> {
    const $match = { ...toFilter(filter), ...(without.length > 0 && { source: { $nin: [...without] } }) }
    const found = await this.#collection.aggregate<{ _id: Record<string, string | ObjectId | null> } & Omit<UsageSum, 'group'>>([
      { $match },
      {
        $group: {
          _id: Object.fromEntries(groupBy.map((name) => [name, fieldOf[name]])),
          messages: sum('messages'),
          promptTokens: sum('promptTokens'),
          completionTokens: sum('completionTokens'),
          cachedTokens: sum('cachedTokens'),
          microUsd: sum('microUsd')
        }
      }
    ]).toArray()
    return found.map(({ _id, ...sums }) => ({
      group: Object.fromEntries(Object.entries(_id).map(([name, value]) => [name, value === null ? null : String(value)])), ...sums
    }))
  }
}
