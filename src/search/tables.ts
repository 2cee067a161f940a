import { LRUCache } from 'lru-cache'
import { type SearchSegmentRepository, type StoredSegment } from '../store/search-segments.ts'
import { ID_BYTES, idAt, type SegmentTable } from './segment.ts'

// Some 24 bytes a message: the tables of 2,500,000.
const MAX_BYTES = 64 * 1024 * 1024
const COMMON_BYTES = 100

/** The tables of segments, from memory where they were used before: a segment never changes. */
export class Tables {
  readonly #repository: SearchSegmentRepository
  readonly #cache = new LRUCache<string, SegmentTable>({
    maxSize: MAX_BYTES,
    sizeCalculation: ({ ids, times, lengths, common }) =>
      ids.byteLength + times.byteLength + lengths.byteLength + common.size * COMMON_BYTES + 1
  })

  constructor (repository: SearchSegmentRepository) {
    this.#repository = repository
  }

  /** By the id of their segment; of those segments that are still there. */
  async of (segmentIds: readonly string[]): Promise<Map<string, SegmentTable>> {
    const known = new Map(segmentIds.flatMap((id) => {
      const table = this.#cache.get(id)
      return table ? [[id, table] as const] : []
    }))
    const missing = segmentIds.filter((id) => !known.has(id))
    if (missing.length === 0) return known
    for (const [id, table] of await this.#repository.tables(missing)) {
      this.#cache.set(id, table)
      known.set(id, table)
    }
    return known
  }
}

/** Those of the segments that may have messages with these ids: ids grow, and so do those of the segments. */
export function thoseWithin (segments: readonly StoredSegment[], ids: ReadonlySet<string>): StoredSegment[] {
  const sorted = [...ids].sort()
  return segments.filter(({ firstId, lastId }) => firstId <= sorted.at(-1)! && lastId >= sorted[0]!)
}

/** The places that messages have in a table; of those that it has. */
export function placesOf ({ ids }: SegmentTable, wanted: ReadonlySet<string>): Map<string, number> {
  // The end of an identifier is a counter: looked at first, it leaves hardly any to be compared as a whole.
  const tail = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tails = new Set(Array.from(wanted, (id) => tail(Buffer.from(id, 'hex')).getUint32(ID_BYTES - 4)))
  const view = tail(ids)
  const places = new Map<string, number>()
  for (let at = 0; at < ids.length; at += ID_BYTES) {
    if (!tails.has(view.getUint32(at + ID_BYTES - 4))) continue
    const id = idAt(ids, at / ID_BYTES)
    if (wanted.has(id)) places.set(id, at / ID_BYTES)
  }
  return places
}
