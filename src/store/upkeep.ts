import { type Collection, type Db, type Document, type UpdateFilter } from 'mongodb'
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

/** A title, and the `seq` of the messages that it was made of. */
export interface MadeTitle {
  readonly title: string
  readonly titleFrom: number[]
}

/** What a session has cost apart from its turns, with one more `usage`. */
function charged (usage: Usage | undefined): UpdateFilter<SessionDocument> {
  if (!usage) return {}
  const { estimated, ...counts } = usage
  const more = Object.fromEntries(Object.entries(counts).map(([name, count]) => [`upkeep.${name}`, count]))
  return { $inc: more, ...(estimated && { $set: { 'upkeep.estimated': true } }) }
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

  /** Keeps a title and what it took. False: there is a title by now, or a text is gone since the session was read. */
  async keepTitle (session: Session, made: MadeTitle, usage: Usage | undefined): Promise<boolean> {
    return await this.#keep(session, { title: null }, { ...made }, usage)
  }

  /** Keeps a summary and what it took. False: there is another by now, or a text is gone since the session was read. */
  async keepSummary (session: Session, summary: Summary): Promise<boolean> {
    const unchanged = session.summary ? { 'summary.createdAt': session.summary.createdAt } : { summary: null }
    return await this.#keep(session, unchanged, { summary }, summary.usage)
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

  async #keep (
    { id, removals }: Session, unchanged: Document, made: Document, usage: Usage | undefined
  ): Promise<boolean> {
    const { $set, ...rest } = charged(usage)
    const { matchedCount } = await this.#collection.updateOne(
      // The count is absent where nothing has been removed, and never goes down.
      { _id: parseId(id)!, status: present, removals: { $not: { $gt: removals } }, ...unchanged },
      { ...rest, $set: { ...$set, ...made } }
    )
    if (matchedCount === 0 && usage) await this.#collection.updateOne({ _id: parseId(id)! }, charged(usage))
    return matchedCount === 1
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
