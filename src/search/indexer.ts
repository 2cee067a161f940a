import { type LeaseRepository } from '../store/leases.ts'
import { type SearchSegmentRepository, type StoredSegment } from '../store/search-segments.ts'
import { type SearchSourceRepository } from '../store/search-sources.ts'
import { Indexing } from './indexing.ts'
import { dueForMerge, Merging } from './merging.ts'
import { Shift } from './shift.ts'
import { type Tables } from './tables.ts'

const LOOK_MS = 1000
const LOOK_WHILE_OTHERS_WORK_MS = 10_000
const LOOK_AGAIN_AFTER_FAILURE_MS = 5000

// Where a quarter of a segment is to leave it, that is worth writing it anew at once. Fewer are given some time to
// become more, because the cost is the same.
const SWEPT_SHARE = 4
const SWEPT_AFTER_MS = 5000

export interface IndexerOptions {
  readonly sources: SearchSourceRepository
  readonly segments: SearchSegmentRepository
  readonly leases: LeaseRepository
  readonly tables: Tables
  readonly log: { warn (details: object, message: string): void }
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number
}

/** Keeps the index up to date in the background: one process at a time, in small steps that leave others half of the time. */
export class Indexer {
  readonly #options: IndexerOptions
  readonly #shift: Shift
  readonly #indexing: Indexing
  readonly #merging: Merging
  /** When segments with messages that are to leave them were first seen. */
  #marked = new Map<string, number>()
  #running = Promise.resolve()

  constructor (options: IndexerOptions) {
    const { sources, segments, tables, leases, now } = options
    this.#options = options
    this.#shift = new Shift(leases, now, async () => { await this.#merging.tidy() })
    this.#indexing = new Indexing(sources, segments, tables, this.#shift)
    this.#merging = new Merging(segments, tables, this.#shift)
  }

  /** Begins to look for work, once a second. */
  start (): void {
    this.#running = this.#loop()
  }

  /** Ends after the step that it is at. What is left half done is done, or undone, by who comes next. */
  async close (): Promise<void> {
    this.#shift.close()
    await this.#running
    await this.#shift.end()
  }

  async #loop (): Promise<void> {
    while (!this.#shift.isClosed) {
      let restMs = LOOK_MS
      try {
        if (!await this.#shift.hold()) restMs = LOOK_WHILE_OTHERS_WORK_MS
        else if (await this.round()) restMs = 0
      } catch (error) {
        const { log } = this.#options
        if (!this.#shift.isClosed) log.warn({ err: error }, 'indexing for the search failed; it is tried again')
        restMs = LOOK_AGAIN_AFTER_FAILURE_MS
      }
      await this.#shift.rest(restMs)
    }
  }

  /** Does some of the work, unless it is another process's. True: there is more to be done at once. */
  async round (): Promise<boolean> {
    if (!await this.#shift.hold()) return false
    const { sessions, isMore } = await this.#indexing.next()
    const index = async () => await this.#indexing.index(sessions)
    const tenants = sessions.length > 0 ? await this.#shift.step(index) : new Set<string>()
    for (const tenantId of tenants) await this.#mergeOf(tenantId)
    await this.#sweep()
    // Those that brought nothing, because their replies are not written to the end, would be found over and over again.
    return isMore && tenants.size > 0
  }

  async #mergeOf (tenantId: string): Promise<void> {
    const due = dueForMerge(await this.#options.segments.of(tenantId))
    if (due) await this.#merging.merge(due)
  }

  /** Writes segments anew without what is to leave them. */
  async #sweep (): Promise<void> {
    const marked = await this.#options.segments.marked()
    const now = this.#options.now()
    this.#marked = new Map(marked.map(({ id }) => [id, this.#marked.get(id) ?? now]))
    const isDue = ({ id, dead, count }: StoredSegment) =>
      dead.length * SWEPT_SHARE >= count || now - this.#marked.get(id)! >= SWEPT_AFTER_MS
    for (const segment of marked.filter(isDue)) await this.#merging.merge([segment])
  }
}
