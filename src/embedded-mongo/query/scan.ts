import { indexPrefix, recordIdOf, recordKey, recordPrefix, type Collection } from '../storage/catalog.ts'
import { CommandError } from '../errors.ts'
import { successor } from '../storage/key-encoding.ts'
import { type Filter } from './matcher.ts'
import { type Plan } from './planner.ts'
import { type Storage } from '../storage/storage.ts'
import { decode, type Document } from '../values/values.ts'

/** A document found: its record id and its bytes; decoded only when somebody needed to look. */
export interface Found {
  id: number
  bytes: Buffer
  document?: Document
}

/** What a scan gives now and then instead of a document, so that its caller can let others run. */
export const PAUSE = Symbol('pause')

const PAUSE_EVERY = 256
const FIRST_CHUNK = 16
const LARGEST_CHUNK = 512
const CHUNK_BYTES = 1024 * 1024

/** What a scan has cost so far. */
export interface ScanCost {
  keysExamined: number
  docsExamined: number
}

/**
 * Walks a plan's documents lazily. It reads ahead in small chunks and keeps no read transaction open, so it may rest
 * for minutes between two documents; when somebody has written meanwhile, it reads on from the last key it gave.
 */
export class Scan implements ScanCost {
  keysExamined = 0
  docsExamined = 0
  private readonly storage: Storage
  private readonly collection: Collection
  private readonly plan: Plan
  private readonly filter: Filter
  private readonly deadline: number
  private readonly ranges: Array<{ start: Buffer, end: Buffer }>
  /** Records already given; only an index with arrays has a record twice. */
  private readonly seen: Set<number> | undefined
  private rangeAt = 0
  private chunk: Array<{ key: Buffer, value?: Buffer }> = []
  private chunkAt = 0
  private chunkSize = FIRST_CHUNK
  private generation = -1
  private lastKey: Buffer | undefined
  private sincePause = 0

  constructor (storage: Storage, collection: Collection, plan: Plan, filter: Filter, deadline = Infinity) {
    this.storage = storage
    this.collection = collection
    this.plan = plan
    this.filter = filter
    this.deadline = deadline
    this.ranges = absoluteRanges(collection, plan)
    this.seen = plan.index !== undefined && plan.index.multikey.size > 0 ? new Set() : undefined
  }

  /** The next matching document, PAUSE, or undefined at the end. Throws CommandError 50 after the deadline. */
  next (): Found | typeof PAUSE | undefined {
    while (true) {
      if (++this.sincePause > PAUSE_EVERY) {
        this.sincePause = 0
        this.checkDeadline()
        return PAUSE
      }
      const entry = this.nextEntry()
      if (entry === undefined) return undefined
      const found = this.examine(entry)
      if (found !== undefined) return found
    }
  }

  /** All that is left, without pauses. */
  * [Symbol.iterator] (): Generator<Found> {
    for (let found = this.next(); found !== undefined; found = this.next()) {
      if (found !== PAUSE) yield found
    }
  }

  /** How many entries the plan's ranges have: the number of documents when the plan is exact and has no arrays. */
  count (): number {
    return this.ranges.reduce((sum, { start, end }) => sum + this.storage.count(start, end), 0)
  }

  private checkDeadline (): void {
    if (Date.now() > this.deadline) throw new CommandError(50, 'operation exceeded time limit')
  }

  private examine ({ key, value }: { key: Buffer, value?: Buffer }): Found | undefined {
    const id = recordIdOf(key)
    if (this.plan.index !== undefined) this.keysExamined++
    if (this.seen?.has(id) === true) return undefined
    const bytes = value ?? this.storage.get(recordKey(this.collection.id, id))
    if (bytes === undefined) return undefined
    this.docsExamined++
    if (this.plan.exact) {
      this.seen?.add(id)
      return { id, bytes }
    }
    const document = decode(bytes)
    if (!this.filter.test(document)) return undefined
    this.seen?.add(id)
    return { id, bytes, document }
  }

  private nextEntry (): { key: Buffer, value?: Buffer } | undefined {
    if (this.generation !== this.storage.generation) this.chunk = []
    while (this.chunkAt >= this.chunk.length) {
      const range = this.ranges[this.rangeAt]
      if (range === undefined) return undefined
      this.read(range)
      if (this.chunk.length > 0) break
      this.rangeAt++
      this.lastKey = undefined
    }
    const entry = this.chunk[this.chunkAt++]
    this.lastKey = entry?.key
    return entry
  }

  private read ({ start, end }: { start: Buffer, end: Buffer }): void {
    const { reverse } = this.plan
    // The smallest key after the last one, or, walking backwards, the last one itself, which is excluded.
    const from = this.lastKey === undefined ? start : Buffer.concat([this.lastKey, Buffer.alloc(1)])
    const range = reverse
      ? { start, end: this.lastKey ?? end, reverse, limit: this.chunkSize }
      : { start: from, end, limit: this.chunkSize }
    this.chunkAt = 0
    this.generation = this.storage.generation
    if (this.plan.index !== undefined) {
      this.chunk = this.storage.keys(range).map((key) => ({ key }))
      this.chunkSize = Math.min(this.chunkSize * 2, LARGEST_CHUNK)
      return
    }
    const entries = this.storage.entries(range)
    this.chunk = entries
    const bytes = entries.reduce((sum, { value }) => sum + value.length, 0)
    const fitting = Math.floor(CHUNK_BYTES * entries.length / Math.max(bytes, 1))
    this.chunkSize = Math.max(1, Math.min(this.chunkSize * 2, LARGEST_CHUNK, fitting))
  }
}

function absoluteRanges (
  collection: Collection,
  { index, ranges, reverse }: Plan
): Array<{ start: Buffer, end: Buffer }> {
  const prefix = index === undefined ? recordPrefix(collection.id) : indexPrefix(index.id)
  const end = successor(prefix) ?? prefix
  if (index === undefined) return [{ start: prefix, end }]
  const absolute = ranges.map((range) => ({
    start: Buffer.concat([prefix, range.start]),
    end: range.end === undefined ? end : Buffer.concat([prefix, range.end])
  }))
  return reverse ? absolute.reverse() : absolute
}
