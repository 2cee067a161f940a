import { type AnyBulkWriteOperation, type Collection, type Db, type Document, MongoServerError } from 'mongodb'
import { addEntry, type OutboxEntry, OutboxRepository, outboxIndex, type WithOutbox } from './outbox.ts'
import { type LimitName, limitNames, type Limits } from './quota-settings.ts'

/** What is counted. */
export interface Amount {
  readonly tokens: number
  readonly messages: number
}

/** What was used within a day or a month, which is named by a number. */
export interface Used extends Amount {
  readonly period: number
}

/** What a subject, which is a tenant, an end user or a key, has used and holds for what runs. */
export interface Counter extends WithOutbox {
  readonly _id: string
  readonly tenantId: string
  /** Days since 1970. */
  readonly day: Used
  /** Months since the year 0. */
  readonly month: Used
  readonly reservations: ReadonlyArray<Amount & { readonly id: string, readonly until: Date }>
  /** All reservations, as of the last look. */
  readonly held: Amount
  /** It is not known what was used; it has to be summed up from the ledger. */
  readonly stale: boolean
  /** Counts the writes that change what is used or held. */
  readonly version: number
  /** When four fifths of a limit were used, and in which of its periods. */
  readonly warned?: Notes
  /** When somebody was refused because of a limit, and in which of its periods. */
  readonly exceeded?: Notes
}

type Notes = Readonly<Partial<Record<LimitName, { readonly period: number, readonly at: Date }>>>

/** What is asked for: `tokens` if they are left, `least` at least. */
export interface Wish extends Amount {
  readonly id: string
  readonly least: number
}

/** What was used for something that ended. */
export interface Settlement extends Amount {
  readonly subject: string
  /** Of the reservation. */
  readonly id: string
  readonly at: Date
}

// More turns than a tenant has at once; a bound of the document's size.
const MAX_RESERVATIONS = 1000
const DAY_MS = 86_400_000

export const dayOf = (time: Date) => Math.floor(time.getTime() / DAY_MS)
export const monthOf = (time: Date) => time.getUTCFullYear() * 12 + time.getUTCMonth()
/** When a period begins. */
export const beginOfDay = (day: number) => new Date(day * DAY_MS)
export const beginOfMonth = (month: number) => new Date(Date.UTC(Math.floor(month / 12), month % 12))

export const periodOf = (name: LimitName) => name.endsWith('Day') ? 'day' : 'month'
export const unitOf = (name: LimitName) => name.startsWith('tokens') ? 'tokens' : 'messages'

// As numbers, because SecantusDB 0.7 finds no order between `$$NOW` and a stored date.
const NOW = { $toLong: '$$NOW' }
const today = { $floor: { $divide: [NOW, DAY_MS] } }
const thisMonth = { $subtract: [{ $add: [{ $multiply: [{ $year: '$$NOW' }, 12] }, { $month: '$$NOW' }] }, 1] }

/** A count that begins anew where its period is over. */
function rolled (name: 'day' | 'month', period: object | number): Document {
  return { $cond: [{ $lt: [{ $ifNull: [`$${name}.period`, 0] }, period] }, { period, tokens: 0, messages: 0 }, `$${name}`] }
}

/** What is left of a limit. */
const room = (name: LimitName, limit: number) =>
  ({ $subtract: [limit, { $add: [`$${periodOf(name)}.${unitOf(name)}`, `$held.${unitOf(name)}`] }] })

/** What is left of those limits that bound the same, or of none. */
function rooms (limits: Limits, unit: 'tokens' | 'messages'): Document[] {
  return limitNames.filter((name) => unitOf(name) === unit && limits[name]).map((name) => room(name, limits[name]))
}

function reserved (tenantId: string, { id, tokens, messages, least }: Wish, limits: Limits, ttlMs: number): Document[] {
  const most = { $min: [tokens, ...rooms(limits, 'tokens')] }
  const mayHave = {
    $and: [
      { $not: ['$stale'] },
      { $lt: [{ $size: '$reservations' }, MAX_RESERVATIONS] },
      { $gte: [most, least] },
      ...rooms(limits, 'messages').map((left) => ({ $gte: [left, messages] }))
    ]
  }
  const fresh = { id, tokens: most, messages, until: { $add: ['$$NOW', ttlMs] } }
  const held = (unit: string) => ({ $sum: { $map: { input: '$reservations', in: `$$this.${unit}` } } })
  return [
    {
      $set: {
        tenantId: { $literal: tenantId },
        // A subject that is new here may have used something all the same.
        stale: { $ifNull: ['$stale', true] },
        version: { $ifNull: ['$version', 0] },
        day: rolled('day', today),
        month: rolled('month', thisMonth),
        // What has lapsed is held no more.
        reservations: {
          $filter: { input: { $ifNull: ['$reservations', []] }, cond: { $gt: [{ $toLong: '$$this.until' }, NOW] } }
        }
      }
    },
    { $set: { held: { tokens: held('tokens'), messages: held('messages') } } },
    {
      $set: {
        reservations: { $cond: [mayHave, { $concatArrays: ['$reservations', [fresh]] }, '$reservations'] },
        version: { $cond: [mayHave, { $add: ['$version', 1] }, '$version'] }
      }
    }
  ]
}

/** Gives a reservation back and counts what was used instead, in the periods that it was used in. */
function settled ({ id, at, tokens, messages }: Settlement): Document[] {
  const counted = (name: 'day' | 'month', period: number) => {
    const more = { period, tokens: { $add: [`$${name}.tokens`, tokens] }, messages: { $add: [`$${name}.messages`, messages] } }
    return { $cond: [{ $eq: [`$${name}.period`, period] }, more, `$${name}`] }
  }
  const [day, month] = [dayOf(at), monthOf(at)]
  return [
    { $set: { day: rolled('day', day), month: rolled('month', month) } },
    {
      $set: {
        day: counted('day', day),
        month: counted('month', month),
        reservations: { $filter: { input: '$reservations', cond: { $ne: ['$$this.id', id] } } },
        version: { $add: ['$version', 1] }
      }
    }
  ]
}

/** The collection `quotaCounters`: what those have used who have a quota, as far as the ledger need not be asked. */
export class QuotaCounterRepository {
  readonly outbox: OutboxRepository
  readonly #collection: Collection<Counter>

  constructor (db: Db) {
    this.outbox = new OutboxRepository(db.collection('quotaCounters'))
    this.#collection = db.collection('quotaCounters')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([outboxIndex])
  }

  /**
   * Reserves what is wished for, for `ttlMs`, where there is enough left. What comes back says whether: then the
   * reservation is in it.
   */
  async reserve (subject: string, tenantId: string, wish: Wish, limits: Limits, ttlMs: number): Promise<Counter> {
    const update = reserved(tenantId, wish, limits, ttlMs)
    for (;;) {
      try {
        const counter = await this.#collection.findOneAndUpdate({ _id: subject }, update, { upsert: true, returnDocument: 'after' })
        // SecantusDB 0.7 answers nothing where somebody else has begun to count at the same moment, MongoDB an error.
        if (counter) return counter
      } catch (error) {
        if (!(error instanceof MongoServerError) || error.code !== 11000) throw error
      }
    }
  }

  /** Counts what was used instead of what was reserved. False: some of it was not reserved, or is counted already. */
  async settle (settlements: readonly Settlement[]): Promise<boolean> {
    if (settlements.length === 0) return true
    const writes = settlements.map((settlement): AnyBulkWriteOperation<Counter> => ({
      updateOne: { filter: { _id: settlement.subject, 'reservations.id': settlement.id }, update: settled(settlement) }
    }))
    const { matchedCount } = await this.#collection.bulkWrite(writes, { ordered: false })
    return matchedCount === settlements.length
  }

  /** Notes of those of some subjects that are counted here that they have used something that was not reserved. */
  async distrust (subjects: readonly string[]): Promise<void> {
    if (subjects.length > 0) await this.#collection.updateMany({ _id: { $in: [...subjects] } }, { $set: { stale: true }, $inc: { version: 1 } })
  }

  /** Sets what a subject has used, as it was found in the ledger. False: something has changed meanwhile. */
  async correct ({ _id, version, day, month }: Counter, used: { day: Amount, month: Amount }): Promise<boolean> {
    const { matchedCount } = await this.#collection.updateOne(
      { _id, version },
      {
        $set: { day: { ...used.day, period: day.period }, month: { ...used.month, period: month.period }, stale: false },
        $inc: { version: 1 }
      }
    )
    return matchedCount === 1
  }

  /** Notes that a subject was warned, or refused something. False: it had been, in the same period. `entry`: what is told of it. */
  async note ({ _id, ...counter }: Counter, what: 'warned' | 'exceeded', name: LimitName, entry?: OutboxEntry): Promise<boolean> {
    const { period } = counter[periodOf(name)]
    const { set, push } = addEntry(entry)
    const { matchedCount } = await this.#collection.updateOne(
      { _id, [`${what}.${name}.period`]: { $ne: period } },
      { $set: { [`${what}.${name}.period`]: period, ...set }, $currentDate: { [`${what}.${name}.at`]: true }, ...push }
    )
    return matchedCount === 1
  }
}
