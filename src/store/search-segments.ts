import { Binary, type Collection, type Db, type Filter } from 'mongodb'
import { type SegmentFigures, type SegmentTable } from '../search/segment.ts'
import { newId } from './ids.ts'

/**
 * `building`: its blocks are being written. `unchecked`: they are; its messages are to be looked at once more. `ready`:
 * it is searched. `replacing`: so is this, in place of those that it replaces. `dropped`: its blocks are being removed.
 */
export type SegmentState = 'building' | 'unchecked' | 'ready' | 'replacing' | 'dropped'

/** A segment of the search index, without its table and blocks. */
export interface StoredSegment extends SegmentFigures {
  readonly id: string
  readonly tenantId: string
  readonly state: SegmentState
  /** The segments that it was made from. */
  readonly replaces: readonly string[]
  /** The places of messages that are to leave it. */
  readonly dead: readonly number[]
  /** How many times such places were noted. */
  readonly marks: number
}

interface SegmentDocument extends Omit<StoredSegment, 'id' | 'dead' | 'marks' | 'replaces'> {
  _id: string
  replaces: string[]
  /** Unsigned integers of 32 bits, in the byte order of nearly all machines: the low ones first. */
  dead: Binary[]
  /** Whether any are dead. */
  marked: boolean
}

interface TableDocument {
  _id: string
  ids: Binary
  times: Binary
  lengths: Binary
  common: Array<{ term: string, messages: number }>
}

interface BlockDocument {
  _id: string
  data: Binary
}

// Some hundreds of messages of eight kilobytes: below what one command may be.
const BLOCKS_AT_ONCE = 500

const blockId = (segmentId: string, bucket: number) => `${segmentId}:${bucket}`

const binary = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  new Binary(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength))

/** A copy: what the driver hands out is a part of all that it has received. */
const copied = (data: Binary): ArrayBuffer => Uint8Array.from(data.buffer).buffer

function toSegment ({ _id, dead, marked: _, ...rest }: SegmentDocument): StoredSegment {
  return { id: _id, dead: dead.flatMap((places) => [...new Uint32Array(copied(places))]), marks: dead.length, ...rest }
}

const markable: SegmentState[] = ['unchecked', 'ready', 'replacing']

/** The search index: `searchSegments`, and for each of them the table of its messages and the blocks of its terms. */
export class SearchSegmentRepository {
  readonly #segments: Collection<SegmentDocument>
  readonly #tables: Collection<TableDocument>
  readonly #blocks: Collection<BlockDocument>

  constructor (db: Db) {
    this.#segments = db.collection('searchSegments')
    this.#tables = db.collection('searchTables')
    this.#blocks = db.collection('searchBlocks')
  }

  async createIndexes (): Promise<void> {
    await this.#segments.createIndexes([
      { key: { tenantId: 1 } },
      { key: { state: 1 } },
      { key: { marked: 1 }, partialFilterExpression: { marked: true } }
    ])
  }

  /** The segments of a tenant that hold messages for good. */
  async of (tenantId: string): Promise<StoredSegment[]> {
    return await this.#find({ tenantId, state: { $in: markable } })
  }

  /** Segments that somebody has not done with. */
  async unfinished (): Promise<StoredSegment[]> {
    return await this.#find({ state: { $in: ['building', 'unchecked', 'replacing', 'dropped'] } })
  }

  /** Segments with messages that are to leave them. */
  async marked (): Promise<StoredSegment[]> {
    return await this.#find({ marked: true, state: 'ready' })
  }

  async find (id: string): Promise<StoredSegment | undefined> {
    const [found] = await this.#find({ _id: id })
    return found
  }

  /** Announces a segment whose blocks are to come. */
  async begin (tenantId: string, replaces: readonly string[], figures: SegmentFigures): Promise<string> {
    const _id = newId()
    const empty = { dead: [], marked: false }
    await this.#segments.insertOne({ _id, tenantId, state: 'building', replaces: [...replaces], ...empty, ...figures })
    return _id
  }

  async writeTable (id: string, { ids, times, lengths, common }: SegmentTable): Promise<void> {
    await this.#tables.insertOne({
      _id: id,
      ids: binary(ids),
      times: binary(times),
      lengths: binary(lengths),
      common: Array.from(common, ([term, messages]) => ({ term, messages }))
    })
  }

  async writeBlocks (id: string, blocks: ReadonlyArray<readonly [bucket: number, block: Uint8Array]>): Promise<void> {
    const documents = blocks.map(([bucket, block]) => ({ _id: blockId(id, bucket), data: binary(block) }))
    for (let i = 0; i < documents.length; i += BLOCKS_AT_ONCE) {
      await this.#blocks.insertMany(documents.slice(i, i + BLOCKS_AT_ONCE))
    }
  }

  /** Moves a segment on, with what is known of it by now. False: it is not where it was thought to be. */
  async advance (
    id: string, from: SegmentState, to: SegmentState, figures: Partial<SegmentFigures> = {}
  ): Promise<boolean> {
    const update = { $set: { state: to, ...figures } }
    const { matchedCount } = await this.#segments.updateOne({ _id: id, state: from }, update)
    return matchedCount === 1
  }

  /** Drops a segment. False: its messages were marked more often than `marks` says. */
  async drop (id: string, marks: number): Promise<boolean> {
    const { matchedCount } = await this.#segments.updateOne(
      { _id: id, state: { $in: markable }, dead: { $size: marks } }, { $set: { state: 'dropped' } }
    )
    return matchedCount === 1
  }

  /** Removes a segment that is not searched, its blocks first. */
  async remove ({ id, buckets }: Pick<StoredSegment, 'id' | 'buckets'>): Promise<void> {
    for (let from = 0; from < buckets; from += BLOCKS_AT_ONCE) {
      const count = Math.min(BLOCKS_AT_ONCE, buckets - from)
      await this.#blocks.deleteMany({ _id: { $in: Array.from({ length: count }, (_, i) => blockId(id, from + i)) } })
    }
    await this.#tables.deleteOne({ _id: id })
    await this.#segments.deleteOne({ _id: id })
  }

  /** Notes that messages are to leave a segment. False: it was dropped; another may have them. */
  async mark (id: string, places: readonly number[]): Promise<boolean> {
    const { matchedCount } = await this.#segments.updateOne(
      { _id: id, state: { $in: markable } },
      { $push: { dead: binary(Uint32Array.from(places)) }, $set: { marked: true } }
    )
    return matchedCount === 1
  }

  /** The tables of segments, by id; of those that are there. */
  async tables (ids: readonly string[]): Promise<Map<string, SegmentTable>> {
    const found = await this.#tables.find({ _id: { $in: [...ids] } }).toArray()
    return new Map(found.map(({ _id, ids, times, lengths, common }) => [_id, {
      ids: new Uint8Array(copied(ids)),
      times: new Float64Array(copied(times)),
      lengths: new Uint32Array(copied(lengths)),
      common: new Map(common.map(({ term, messages }) => [term, messages]))
    }]))
  }

  /** Blocks of segments, in the order asked for; undefined where one is not there. */
  async blocks (
    wanted: ReadonlyArray<readonly [segmentId: string, bucket: number]>
  ): Promise<Array<Uint8Array | undefined>> {
    const ids = wanted.map(([segmentId, bucket]) => blockId(segmentId, bucket))
    const distinct = [...new Set(ids)]
    const found = await this.#blocks.find({ _id: { $in: distinct } }, { batchSize: distinct.length + 1 }).toArray()
    const byId = new Map(found.map(({ _id, data }) => [_id, data.buffer]))
    return ids.map((id) => byId.get(id))
  }

  async #find (filter: Filter<SegmentDocument>): Promise<StoredSegment[]> {
    return (await this.#segments.find(filter).sort({ _id: 1 }).toArray()).map(toSegment)
  }
}
