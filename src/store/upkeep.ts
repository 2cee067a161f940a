import { type Collection, type Db, type Document, type Filter, type UpdateFilter } from 'mongodb'
import { type Usage } from '../llm/provider.ts'
import { parseId } from './ids.ts'
import { present, type Session, type SessionDocument } from './sessions.ts'

/** What was said on a line of a session, up to some message, in short. */
export interface Summary {
  readonly text: string
  /** The last message that it covers. */
  readonly throughSeq: number
  /** The line that this message was said on; null: the first one. */
  readonly branchId: string | null
  /** How many messages it covers. */
  readonly messageCount: number
  readonly source: 'model' | 'rules'
  /** Null: it was made by rules. */
  readonly model: string | null
  readonly usage?: Usage
  readonly createdAt: Date
}

/** What a session has cost apart from its turns, with one more `usage`. */
function charged (usage: Usage | undefined): UpdateFilter<SessionDocument> {
  if (!usage) return {}
  const { estimated, ...counts } = usage
  const more = Object.fromEntries(Object.entries(counts).map(([name, count]) => [`upkeep.${name}`, count]))
  return { $inc: more, ...(estimated && { $set: { 'upkeep.estimated': true } }) }
}

/** That no text is gone since the session was read. The count is absent where nothing has been removed, and never goes down. */
export function nothingRemoved ({ removals }: Session): Pick<Filter<SessionDocument>, 'removals'> {
  return { removals: { $not: { $gt: removals } } }
}

/**
 * What is made of a session's messages and kept in the session: its title and its summary. Whenever a text is taken
 * away, what was made of it goes, and `removals` is counted up: what is still being made of it is not kept then.
 */
export class UpkeepRepository {
  readonly #collection: Collection<SessionDocument>

  constructor (db: Db) {
    this.#collection = db.collection('sessions')
  }

  /** Counts what something took that was made for a session. */
  async charge (sessionId: string, usage: Usage | undefined): Promise<void> {
    if (usage) await this.#collection.updateOne({ _id: parseId(sessionId)! }, charged(usage))
  }

  /** Keeps a summary and what it took. False: there is another by now, or a text is gone since the session was read. */
  async keepSummary (session: Session, summary: Summary): Promise<boolean> {
    const isAsRead = session.summary ? { 'summary.createdAt': session.summary.createdAt } : { summary: null }
    const { $set, ...rest } = charged(summary.usage)
    const { matchedCount } = await this.#collection.updateOne(
      { _id: parseId(session.id)!, status: present, ...nothingRemoved(session), ...isAsRead }, { ...rest, $set: { ...$set, summary } }
    )
    if (matchedCount === 0) await this.charge(session.id, summary.usage)
    return matchedCount === 1
  }

  /** Takes away what was made of a message that is erased. */
  async forgetMessage (sessionId: string, seq: number): Promise<void> {
    const throughSeq = { $ifNull: ['$summary.throughSeq', 0] }
    await this.#forget(sessionId, { $in: [seq, titleFrom] }, { $gte: [throughSeq, seq] })
  }

  /** Takes away what was made of messages up to a `seq`, which are cleared. */
  async forgetThrough (sessionId: string, seq: number): Promise<void> {
    const isTitled = { $and: [{ $ne: [titleFrom, []] }, { $lte: [{ $min: titleFrom }, seq] }] }
    await this.#forget(sessionId, isTitled, true)
  }

  async #forget (sessionId: string, isTitled: Document, isSummed: Document | boolean): Promise<void> {
    await this.#collection.updateOne({ _id: parseId(sessionId)! }, [{
      $set: {
        removals: { $add: [{ $ifNull: ['$removals', 0] }, 1] },
        title: { $cond: [isTitled, null, '$title'] },
        titleFrom: { $cond: [isTitled, [], titleFrom] },
        summary: { $cond: [isSummed, null, { $ifNull: ['$summary', null] }] }
      }
    }])
  }
}

const titleFrom = { $ifNull: ['$titleFrom', []] }
