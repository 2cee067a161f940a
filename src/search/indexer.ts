import { Pace } from '../chat/pace.ts'
import { newId } from '../store/ids.ts'
import { type LeaseRepository } from '../store/leases.ts'
import { type SearchSegmentRepository, type StoredSegment } from '../store/search-segments.ts'
import { type SearchSourceRepository } from '../store/search-sources.ts'
import { Indexing } from './indexing.ts'
import { dueForMerge, Merging } from './merging.ts'
import { type Tables } from './tables.ts'

const LEASE = 'search-index'
const LEASE_MS = 30_000
const LOOK_MS = 1000
const LOOK_AGAIN_AFTER_FAILURE_MS = 5000

// Where a quarter of a segment is to leave it, that is worth writing it anew at once. Fewer are given some time to become
// more, because the cost is the same.
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

/** Keeps the index up to date in the background: one process at a time, in small steps that leave others half of the store. */
export class Indexer {
  readonly #options: IndexerOptions
  readonly #indexing: Indexing
  readonly #merging: Merging
  readonly #pace = new Pace()
  readonly #name = newId()
  #heldAt = -Infinity
  /** When segments with messages that are to leave them were first seen. */
  #marked = new Map<string, number>()
  #running = Promise.resolve()

  constructor (options: IndexerOptions) {
    const { sources, segments, tables } = options
    this.#options = options
    this.#indexing = new Indexing(sources, segments, tables)
    this.#merging = new Merging(segments, tables, async (work) => await this.#step(work))
  }

  /** Begins to look for work, once a second. */
  start (): void {
    this.#running = this.#loop()
  }

  /** Ends after the step that it is at. What is left half done is done, or undone, by who comes next. */
  async close (): Promise<void> {
    this.#pace.close()
    await this.#running
    if (this.#isHeld) await this.#options.leases.release(LEASE, this.#name).catch(() => {})
  }

  get #isHeld (): boolean {
    return this.#options.now() - this.#heldAt < LEASE_MS
  }

  async #loop (): Promise<void> {
    while (!this.#pace.isClosed) {
      let restMs = LOOK_MS
      try {
        if (await this.round()) restMs = 0
      } catch (error) {
        if (!this.#pace.isClosed) this.#options.log.warn({ err: error }, 'indexing for the search failed; it is tried again')
        restMs = LOOK_AGAIN_AFTER_FAILURE_MS
      }
      await this.#pace.rest(restMs)
    }
  }

  /** Does some of the work, unless another process holds it. True: there is more to be done at once. */
  async round (): Promise<boolean> {
    if (!await this.#hold()) return false
    const { sessions, isMore } = await this.#indexing.next()
    const tenants = sessions.length > 0 ? await this.#step(async () => await this.#indexing.index(sessions)) : new Set<string>()
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

  async #step<T> (work: () => Promise<T>): Promise<T> {
    if (this.#pace.isClosed || !await this.#hold()) throw new Error('the work in the background has ended')
    return await this.#pace.step(work)
  }

  /** Sees to it that nobody else does this work. A process that takes it over tidies up after the one before. */
  async #hold (): Promise<boolean> {
    const now = this.#options.now()
    if (now - this.#heldAt < LEASE_MS / 3) return true
    const wasHeld = this.#isHeld
    if (!await this.#options.leases.hold(LEASE, this.#name, LEASE_MS)) {
      this.#heldAt = -Infinity
      return false
    }
    this.#heldAt = now
    if (!wasHeld) await this.#merging.tidy()
    return true
  }
}
