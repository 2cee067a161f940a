import { type SearchSegmentRepository } from '../store/search-segments.ts'
import {
  type Progress, type SearchSourceRepository, type SourceMessage, type UnindexedSession
} from '../store/search-sources.ts'
import { buildSegment } from './segment.ts'
import { type Shift, ShiftEnded } from './shift.ts'
import { placesOf, type Tables, thoseWithin } from './tables.ts'

const SESSIONS_AT_ONCE = 200
const MESSAGES_AT_ONCE = 2000
const MESSAGES_OF_A_SESSION = 500

/** Takes what was said into the index. */
export class Indexing {
  readonly #sources: SearchSourceRepository
  readonly #segments: SearchSegmentRepository
  readonly #tables: Tables
  readonly #shift: Shift

  constructor (sources: SearchSourceRepository, segments: SearchSegmentRepository, tables: Tables, shift: Shift) {
    this.#sources = sources
    this.#segments = segments
    this.#tables = tables
    this.#shift = shift
  }

  /** Sessions with something new, as many as one step is to deal with, and whether there are more of them. */
  async next (): Promise<{ sessions: UnindexedSession[], isMore: boolean }> {
    const found = await this.#sources.unindexed(SESSIONS_AT_ONCE)
    let messages = 0
    const sessions = found.filter(({ nextSeq, afterSeq }) => {
      const fits = messages < MESSAGES_AT_ONCE
      messages += Math.min(nextSeq - 1 - afterSeq, MESSAGES_OF_A_SESSION)
      return fits
    })
    return { sessions, isMore: found.length === SESSIONS_AT_ONCE || messages >= MESSAGES_AT_ONCE }
  }

  /**
   * Indexes what is new in these sessions, or the first part of it. A crash on the way leaves them to be indexed again.
   * Answers the tenants that have a new segment.
   */
  async index (sessions: readonly UnindexedSession[]): Promise<Set<string>> {
    const found = await this.#sources.messagesOf(sessions, MESSAGES_OF_A_SESSION, 'oldest')
    const bySession = Map.groupBy(found, ({ sessionId }) => sessionId)
    const progress: Progress[] = []
    const ended: SourceMessage[] = []
    for (const session of sessions) {
      const messages = bySession.get(session.id) ?? []
      const running = messages.findIndex(({ status }) => status === 'streaming')
      const complete = running === -1 ? messages : messages.slice(0, running)
      ended.push(...complete)
      const isAll = running === -1 && messages.length < MESSAGES_OF_A_SESSION
      progress.push({ session, indexedSeq: complete.at(-1)?.seq ?? session.afterSeq, isAll })
    }
    const tenants = Map.groupBy(ended.filter(({ content }) => content !== ''), ({ tenantId }) => tenantId)
    for (const [tenantId, messages] of tenants) await this.#add(tenantId, messages, sessions)
    await this.#sources.advance(progress)
    return new Set(tenants.keys())
  }

  async #add (
    tenantId: string, messages: readonly SourceMessage[], sessions: readonly UnindexedSession[]
  ): Promise<void> {
    const known = await this.#known(tenantId, messages)
    const fresh = messages.filter(({ id }) => !known.has(id))
    if (fresh.length === 0) return
    const { figures, table, blocks } = buildSegment(fresh)
    const id = await this.#segments.begin(tenantId, [], figures)
    await this.#segments.writeBlocks(id, [...blocks.entries()])
    await this.#segments.writeTable(id, table)
    // Who took over meanwhile has tidied up, and then the segment is gone, or indexes the same messages.
    if (!await this.#shift.confirm() || !await this.#segments.advance(id, 'building', 'unchecked')) {
      await this.#segments.remove({ id, buckets: figures.buckets })
      throw new ShiftEnded()
    }
    // What is erased from now on is marked by who erases it; what was erased while it was being indexed is not.
    const gone = await this.#sources.gone(fresh, sessions)
    const places = fresh.flatMap((message, place) => gone.has(message.id) ? [place] : [])
    if (places.length > 0) await this.#segments.mark(id, places)
    await this.#segments.advance(id, 'unchecked', 'ready')
  }

  /** Those of the messages that are in the index, because a process died before it could note that. */
  async #known (tenantId: string, messages: readonly SourceMessage[]): Promise<Set<string>> {
    const ids = new Set(messages.map(({ id }) => id))
    const segments = thoseWithin(await this.#segments.of(tenantId), ids)
    const tables = await this.#tables.of(segments.map(({ id }) => id))
    return new Set([...tables.values()].flatMap((table) => [...placesOf(table, ids).keys()]))
  }
}
