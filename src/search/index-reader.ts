import { type SearchSegmentRepository, type StoredSegment } from '../store/search-segments.ts'
import { type Entry, findTerm } from './postings.ts'
import { type SearchedSegment } from './ranking.ts'
import { bucketOf, type Segment, type SegmentTable } from './segment.ts'
import { type Tables } from './tables.ts'

/** A segment was merged into another and removed, while it was being read. */
class SegmentGone extends Error {}

const MAX_ATTEMPTS = 3

/** Opens the index of a tenant for one search. */
export class IndexReader {
  readonly #repository: SearchSegmentRepository
  readonly #tables: Tables

  constructor (repository: SearchSegmentRepository, tables: Tables) {
    this.#repository = repository
    this.#tables = tables
  }

  /** Has `work` read the segments of a tenant; once more, where one was removed meanwhile. */
  async read<T> (tenantId: string, work: (index: OpenIndex) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work(await this.#open(tenantId))
      } catch (error) {
        if (!(error instanceof SegmentGone) || attempt === MAX_ATTEMPTS) throw error
      }
    }
  }

  async #open (tenantId: string): Promise<OpenIndex> {
    const segments = await this.#repository.of(tenantId)
    const replaced = new Set(segments.filter(({ state }) => state === 'replacing').flatMap(({ replaces }) => replaces))
    const searched = segments.filter(({ id, state }) => state !== 'unchecked' && !replaced.has(id))
    const tables = await this.#tables.of(searched.map(({ id }) => id))
    return new OpenIndex(this.#repository, searched.map((segment) => {
      const table = tables.get(segment.id)
      if (!table) throw new SegmentGone()
      return { ...segment, table, entries: new Map<string, Entry>() }
    }))
  }
}

interface OpenSegment extends StoredSegment {
  readonly table: SegmentTable
  readonly entries: Map<string, Entry>
}

/** The segments of a tenant, and the postings that were read of them. */
export class OpenIndex {
  readonly #repository: SearchSegmentRepository
  readonly #segments: OpenSegment[]
  readonly #others: SearchedSegment[] = []

  constructor (repository: SearchSegmentRepository, segments: OpenSegment[]) {
    this.#repository = repository
    this.#segments = segments
  }

  /** All that is searched. */
  get segments (): SearchedSegment[] {
    return [...this.#segments, ...this.#others]
  }

  /** Searches messages, too, that are in no segment of the index. */
  include ({ figures, table, blocks }: Segment, terms: readonly string[]): void {
    const entries = terms.flatMap((term) => {
      const entry = findTerm(blocks[bucketOf(term, figures.buckets)]!, term)
      return entry ? [[term, entry] as const] : []
    })
    this.#others.push({ ...figures, table, dead: [], entries: new Map(entries) })
  }

  /** Reads the filters, and the words but where they are common: of those it is known how many messages have them. */
  async readRare (words: readonly string[], filters: readonly string[]): Promise<void> {
    await this.#read([...words, ...filters], ({ table }, term) => filters.includes(term) || !table.common.has(term))
  }

  /** Reads what is left of these words, where there are messages that have each of the filters. */
  async readCommon (words: readonly string[], filters: readonly string[]): Promise<void> {
    await this.#read(words, ({ table, entries }, word) =>
      table.common.has(word) && !entries.has(word) && filters.every((filter) => entries.has(filter)))
  }

  /** How many messages have a term, as far as it was read or is known. */
  countOf (term: string): number {
    const counts = this.segments.map(({ table, entries }) => entries.get(term)?.messages ?? table.common.get(term) ?? 0)
    return counts.reduce((sum, count) => sum + count, 0)
  }

  async #read (terms: readonly string[], isWanted: (segment: OpenSegment, term: string) => boolean): Promise<void> {
    const wanted = this.#segments.flatMap((segment) => terms
      .filter((term) => isWanted(segment, term))
      .map((term) => ({ segment, term, key: [segment.id, bucketOf(term, segment.buckets)] as const })))
    if (wanted.length === 0) return
    const blocks = await this.#repository.blocks(wanted.map(({ key }) => key))
    wanted.forEach(({ segment, term }, i) => {
      const block = blocks[i]
      if (!block) throw new SegmentGone()
      const entry = findTerm(block, term)
      if (entry) segment.entries.set(term, entry)
    })
  }
}
