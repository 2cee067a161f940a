import { type SearchSegmentRepository, type StoredSegment } from '../store/search-segments.ts'
import { placesOf, type Tables, thoseWithin } from './tables.ts'

const MAX_ATTEMPTS = 20

/** Marks messages in the segments that have them. The indexer writes these anew without them. */
export class Forgetting {
  readonly #segments: SearchSegmentRepository
  readonly #tables: Tables

  constructor (segments: SearchSegmentRepository, tables: Tables) {
    this.#segments = segments
    this.#tables = tables
  }

  /** Forgets messages of a tenant. What is not in the index is nothing to forget. */
  async forget (tenantId: string, ids: ReadonlySet<string>): Promise<void> {
    // Where a segment was merged into another before it could be marked, that one has its messages now.
    for (let attempt = 1; ; attempt++) {
      if (await this.#mark(thoseWithin(await this.#segments.of(tenantId), ids), ids)) return
      if (attempt === MAX_ATTEMPTS) throw new Error('The segments of the search index do not come to rest.')
    }
  }

  /** False: not all of the segments are there any more. */
  async #mark (segments: readonly StoredSegment[], ids: ReadonlySet<string>): Promise<boolean> {
    const tables = await this.#tables.of(segments.map(({ id }) => id))
    let isDone = tables.size === segments.length
    for (const segment of segments) {
      const table = tables.get(segment.id)
      if (!table) continue
      const dead = new Set(segment.dead)
      const places = [...placesOf(table, ids).values()].filter((place) => !dead.has(place))
      if (places.length > 0 && !await this.#segments.mark(segment.id, places)) isDone = false
    }
    return isDone
  }
}
