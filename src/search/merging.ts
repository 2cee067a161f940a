import { type SearchSegmentRepository, type StoredSegment } from '../store/search-segments.ts'
import { decodeBlock, type Postings } from './postings.ts'
import {
  bucketsFor, commonTerms, encodeBuckets, figuresOf, ID_BYTES, idAt, type SegmentTable
} from './segment.ts'
import { type Shift, ShiftEnded } from './shift.ts'
import { placesOf, type Tables } from './tables.ts'

const BLOCKS_A_STEP = 32

const GONE = -1

/** Makes one segment of several, or of one whose messages have left it. */
export class Merging {
  readonly #repository: SearchSegmentRepository
  readonly #tables: Tables
  readonly #shift: Shift

  constructor (repository: SearchSegmentRepository, tables: Tables, shift: Shift) {
    this.#repository = repository
    this.#tables = tables
    this.#shift = shift
  }

  /** Joins segments of one tenant without what is dead in them. Can be cut off anywhere: see `settle` and `tidy`. */
  async merge (sources: readonly StoredSegment[]): Promise<void> {
    const tables = await this.#tables.of(sources.map(({ id }) => id))
    const parts = sources.map((segment) => ({ segment, table: tables.get(segment.id)! }))
    const { table, places } = joined(parts)
    if (table.times.length === 0) {
      for (const source of sources) {
        if (await this.#repository.drop(source.id, source.marks)) await this.#repository.remove(source)
      }
      return
    }
    const bytes = sources.reduce((sum, source) => sum + source.bytes, 0)
    const buckets = Math.max(bucketsFor(bytes), ...sources.map((source) => source.buckets))
    const figures = figuresOf(table, buckets, bytes)
    const id = await this.#repository.begin(sources[0]!.tenantId, sources.map((source) => source.id), figures)
    const written = await this.#writeBlocks(id, { sources, places, buckets, count: figures.count })
    await this.#repository.writeTable(id, { ...table, common: written.common })
    // Who took over meanwhile has tidied up, and then the segment is gone, or has changed what it was made from.
    const { bytes: bytesWritten } = written
    if (!await this.#shift.confirm() || !await this.#repository.advance(id, 'building', 'replacing', { bytes: bytesWritten })) {
      await this.#repository.remove({ id, buckets })
      throw new ShiftEnded()
    }
    await this.settle(id)
  }

  /**
   * Removes the segments that another has replaced, once it knows what was to leave them: what was marked while it was
   * being made is marked in it, too.
   */
  async settle (id: string): Promise<void> {
    const target = await this.#repository.find(id)
    const tables = await this.#tables.of([id, ...target?.replaces ?? []])
    for (const sourceId of target?.replaces ?? []) {
      let source = await this.#repository.find(sourceId)
      while (source && source.state !== 'dropped') {
        const dead = new Set(source.dead.map((place) => idAt(tables.get(sourceId)!.ids, place)))
        const places = placesOf(tables.get(id)!, dead)
        if (places.size > 0) await this.#repository.mark(id, [...places.values()])
        if (await this.#repository.drop(sourceId, source.marks)) break
        source = await this.#repository.find(sourceId)
      }
      if (source) await this.#repository.remove(source)
    }
    await this.#repository.advance(id, 'replacing', 'ready')
  }

  /** Does what a process that died has left undone, or undoes it. */
  async tidy (): Promise<void> {
    for (const segment of await this.#repository.unfinished()) {
      if (segment.state === 'replacing') await this.settle(segment.id)
      else await this.#dropUnseen(segment)
    }
  }

  /** Who is not dead, after all, finds that the segment is dropped, and does not show it any more. */
  async #dropUnseen (segment: StoredSegment): Promise<void> {
    if (await this.#repository.advance(segment.id, segment.state, 'dropped')) await this.#repository.remove(segment)
  }

  async #writeBlocks (
    id: string, { sources, places, buckets, count }: Plan
  ): Promise<{ bytes: number, common: Map<string, number> }> {
    // Terms whose buckets are the same modulo `step` are so in all sources: each has at least that many.
    const step = Math.min(Math.max(1, buckets / BLOCKS_A_STEP), ...sources.map((source) => source.buckets))
    const common = new Map<string, number>()
    let bytes = 0
    for (let rest = 0; rest < step; rest++) {
      await this.#shift.step(async () => {
        const terms = await this.#termsOf(sources, places, step, rest)
        const blocks = encodeBuckets(terms, buckets, step, rest)
        await this.#repository.writeBlocks(id, blocks)
        for (const [term, messages] of commonTerms(terms, count)) common.set(term, messages)
        for (const [, block] of blocks) bytes += block.length
      })
    }
    return { bytes, common }
  }

  async #termsOf (
    sources: readonly StoredSegment[], places: readonly Int32Array[], step: number, rest: number
  ): Promise<Map<string, Postings>> {
    const wanted = sources.flatMap(({ id, buckets }, source) =>
      Array.from({ length: buckets / step }, (_, i) => ({ source, key: [id, i * step + rest] as const })))
    const blocks = await this.#repository.blocks(wanted.map(({ key }) => key))
    const terms = new Map<string, Postings>()
    wanted.forEach(({ source }, i) => {
      for (const [term, postings] of decodeBlock(blocks[i]!)) {
        const kept = terms.get(term) ?? []
        for (let at = 0; at < postings.length; at += 2) {
          const place = places[source]![postings[at]!]!
          if (place !== GONE) kept.push(place, postings[at + 1]!)
        }
        if (kept.length > 0) terms.set(term, kept)
      }
    })
    return terms
  }
}

interface Plan {
  readonly sources: readonly StoredSegment[]
  /** For each source, the new places of its messages. */
  readonly places: readonly Int32Array[]
  readonly buckets: number
  readonly count: number
}

interface Part {
  readonly segment: StoredSegment
  readonly table: SegmentTable
}

/** The messages of several segments in one table, and for each segment the new places of its messages. */
function joined (parts: readonly Part[]): { table: SegmentTable, places: Int32Array[] } {
  const all = parts.reduce((sum, { table }) => sum + table.times.length, 0)
  const ids = new Uint8Array(all * ID_BYTES)
  const times = new Float64Array(all)
  const lengths = new Uint32Array(all)
  let next = 0
  const places = parts.map(({ segment, table }) => {
    const dead = new Set(segment.dead)
    return Int32Array.from(table.times, (time, place) => {
      if (dead.has(place)) return GONE
      ids.set(table.ids.subarray(place * ID_BYTES, (place + 1) * ID_BYTES), next * ID_BYTES)
      times[next] = time
      lengths[next] = table.lengths[place]!
      return next++
    })
  })
  const [idsKept, timesKept, lengthsKept] = [ids.slice(0, next * ID_BYTES), times.slice(0, next), lengths.slice(0, next)]
  return { table: { ids: idsKept, times: timesKept, lengths: lengthsKept, common: new Map() }, places }
}

const MERGED_AT_ONCE = 8
const MAX_MESSAGES = 131_072

const tierOf = ({ count }: StoredSegment) => Math.floor(Math.log2(count) / Math.log2(MERGED_AT_ONCE))

/**
 * Which of a tenant's segments are to be merged: eight or more of about the same size, the smallest first, so that each
 * message is written anew only as often as the number of all has digits in base eight. Undefined: none.
 */
export function dueForMerge (segments: readonly StoredSegment[]): StoredSegment[] | undefined {
  const small = segments
    .filter(({ state, count }) => state === 'ready' && count <= MAX_MESSAGES / 2)
    .sort((a, b) => a.count - b.count)
  const tiers = Map.groupBy(small, tierOf)
  const tier = [...tiers.values()].find(({ length }) => length >= MERGED_AT_ONCE)
  let sum = 0
  return tier?.filter(({ count }) => (sum += count) <= MAX_MESSAGES)
}
