import { encodeBlock, type Postings } from './postings.ts'
import { eachWord } from './words.ts'

/** What the index is made of. */
export interface SearchableMessage {
  readonly id: string
  readonly configId: string
  readonly userId: string | null
  readonly timestamp: Date
  readonly content: string
}

/** What is known of each message of a segment, by its place. */
export interface SegmentTable {
  /** Twelve bytes each. */
  readonly ids: Uint8Array
  /** Milliseconds since 1970. */
  readonly times: Float64Array
  /** How many words each has. */
  readonly lengths: Uint32Array
  /** Terms that very many of its messages have, and how many. Only large segments tell. */
  readonly common: ReadonlyMap<string, number>
}

/** What is known of a segment as a whole. */
export interface SegmentFigures {
  readonly count: number
  /** The words of all its messages. */
  readonly words: number
  readonly firstId: string
  readonly lastId: string
  readonly from: Date
  readonly to: Date
  /** How many blocks its terms are spread over: a power of two. */
  readonly buckets: number
  /** Of all blocks together. */
  readonly bytes: number
}

/** A part of the index: some messages, and for each of their terms which of them have it. It never changes. */
export interface Segment {
  readonly figures: SegmentFigures
  readonly table: SegmentTable
  /** By bucket. */
  readonly blocks: Buffer[]
}

export const ID_BYTES = 12

// A block is read for one term, and written anew with all of them: small enough for the one, few enough for the other.
const BLOCK_BYTES = 8192
// Below, a term's postings are read faster than it is worth knowing whether there are many.
const COUNTED_FROM = 4096
const COMMON_SHARE = 16

// A term of its own kind for what is filtered by: no word begins with this character.
const FILTER = '\u0001'
export const configTerm = (configId: string) => `${FILTER}c${configId}`
export const userTerm = (userId: string) => `${FILTER}u${userId}`

/** Makes a segment of messages. */
export function buildSegment (messages: readonly SearchableMessage[]): Segment {
  const terms = new Map<string, Postings>()
  const lengths = new Uint32Array(messages.length)
  const add = (term: string, place: number) => {
    const postings = terms.get(term)
    if (!postings) terms.set(term, [place, 1])
    else if (postings[postings.length - 2] === place) postings[postings.length - 1]!++
    else postings.push(place, 1)
  }
  messages.forEach(({ content, configId, userId }, place) => {
    add(configTerm(configId), place)
    if (userId !== null) add(userTerm(userId), place)
    eachWord(content.normalize('NFC'), (found) => {
      lengths[place]!++
      for (const term of found) add(term, place)
    })
  })
  const ids = Buffer.from(messages.map(({ id }) => id).join(''), 'hex')
  const times = Float64Array.from(messages, ({ timestamp }) => timestamp.getTime())
  const buckets = bucketsFor(estimatedBytes(terms))
  const blocks = encodeBuckets(terms, buckets).map(([, block]) => block)
  const table = { ids, times, lengths, common: commonTerms(terms, messages.length) }
  return { table, blocks, figures: figuresOf(table, buckets, blocks.reduce((sum, { length }) => sum + length, 0)) }
}

/** Sums a table up. */
export function figuresOf ({ ids, times, lengths }: SegmentTable, buckets: number, bytes: number): SegmentFigures {
  const hex = Array.from(times, (_, place) => idAt(ids, place)).sort()
  return {
    count: times.length,
    words: lengths.reduce((sum, length) => sum + length, 0),
    firstId: hex[0]!,
    lastId: hex.at(-1)!,
    from: new Date(times.reduce((a, b) => Math.min(a, b))),
    to: new Date(times.reduce((a, b) => Math.max(a, b))),
    buckets,
    bytes
  }
}

export function idAt (ids: Uint8Array, place: number): string {
  return Buffer.from(ids.buffer, ids.byteOffset + place * ID_BYTES, ID_BYTES).toString('hex')
}

/** How many blocks so many bytes are spread over. */
export function bucketsFor (bytes: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, bytes / BLOCK_BYTES)))
}

/** Which block of a segment has a term. */
export function bucketOf (term: string, buckets: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < term.length; i++) hash = Math.imul(hash ^ term.charCodeAt(i), 0x01000193)
  // The low bits of this hash alone are not evenly spread.
  return (hash ^ (hash >>> 15)) & (buckets - 1)
}

/** The blocks of terms, by bucket: of those buckets that are `rest` modulo `step`. */
export function encodeBuckets (
  terms: ReadonlyMap<string, Postings>, buckets: number, step = 1, rest = 0
): Array<[bucket: number, block: Buffer]> {
  const byBucket = Array.from({ length: buckets / step }, (): Array<[string, Postings]> => [])
  for (const entry of terms) byBucket[(bucketOf(entry[0], buckets) - rest) / step]!.push(entry)
  return byBucket.map((entries, i) => [i * step + rest, encodeBlock(entries)])
}

/** Those of a segment's terms that very many of its `count` messages have. */
export function commonTerms (terms: Iterable<[string, Postings]>, count: number): Map<string, number> {
  const common = new Map<string, number>()
  if (count < COUNTED_FROM) return common
  for (const [term, { length }] of terms) if (length / 2 * COMMON_SHARE >= count) common.set(term, length / 2)
  return common
}

function estimatedBytes (terms: ReadonlyMap<string, Postings>): number {
  let bytes = 0
  for (const [term, { length }] of terms) bytes += term.length + 3 + length
  return bytes
}
