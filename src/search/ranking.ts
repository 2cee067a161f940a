import { Best } from './best.ts'
import { type Entry, PostingsBuffer } from './postings.ts'
import { idAt, type SegmentFigures, type SegmentTable } from './segment.ts'

/** A segment as it is searched. */
export interface SearchedSegment extends Pick<SegmentFigures, 'count' | 'words' | 'from' | 'to'> {
  readonly table: SegmentTable
  /** The places of messages that are not to be found. */
  readonly dead: readonly number[]
  /** The postings of the terms asked for; of those it has. */
  readonly entries: ReadonlyMap<string, Entry>
}

/** What is looked for: any of the words, all of the filters. */
export interface Wanted {
  readonly words: readonly string[]
  readonly filters: readonly string[]
  /** Milliseconds since 1970: from the first on, up to before the second. */
  readonly from: number
  readonly to: number
}

/** How common words are among all messages of a tenant. */
export interface Statistics {
  readonly messages: number
  /** Words of a message, on average. */
  readonly averageLength: number
  /** How many messages have a term. */
  readonly withTerm: ReadonlyMap<string, number>
}

/** A message that matches. Its id is made when it is asked for: few of the candidates are ever looked at. */
export class Candidate {
  readonly score: number
  readonly time: number
  readonly #ids: Uint8Array
  readonly #place: number

  constructor (score: number, { times, ids }: SegmentTable, place: number) {
    this.score = score
    this.time = times[place]!
    this.#ids = ids
    this.#place = place
  }

  get id (): string {
    return idAt(this.#ids, this.#place)
  }
}

interface Weighted {
  readonly entry: Entry
  /** What the word can add to a score at most. */
  readonly weight: number
}

// Okapi BM25 with the constants that its authors recommend.
const K1 = 1.2
const B = 0.75

/** The newest of equal ones first: what was said last is most likely what is meant. */
const compare = (a: Candidate, b: Candidate) => b.score - a.score || b.time - a.time || (a.id < b.id ? 1 : -1)

/** What was being indexed meanwhile may be there twice. */
const isSame = (a: Candidate, b: Candidate | undefined) => a.score === b?.score && a.time === b.time && a.id === b.id

// Used again for each search: to make and clear so much room would take as long as the search itself.
const buffer = new PostingsBuffer()
let scores = new Float64Array(0)

/** The best matches, at most `limit`, the best first. */
export function rank (
  segments: readonly SearchedSegment[], wanted: Wanted, statistics: Statistics, limit: number
): Candidate[] {
  const best = new Best<Candidate>(limit, compare)
  for (const segment of segments) {
    if (!wanted.filters.every((filter) => segment.entries.has(filter))) continue
    if (segment.to.getTime() < wanted.from || segment.from.getTime() >= wanted.to) continue
    const words = weighted(segment, wanted.words, statistics)
    if (words.length === 0) continue
    if (scores.length < segment.count) scores = new Float64Array(segment.count)
    scores.fill(0, 0, segment.count)
    for (const word of words) addScores(word, segment.table, statistics)
    for (const place of segment.dead) scores[place] = 0
    for (const filter of wanted.filters) keepOnly(segment.entries.get(filter)!, segment.count)
    collect(segment, words, wanted, best)
  }
  return best.sorted().filter((candidate, i, all) => !isSame(candidate, all[i - 1]))
}

/** The words that a segment has, the most telling one first. */
function weighted (
  { entries }: SearchedSegment, words: readonly string[], { messages, withTerm }: Statistics
): Weighted[] {
  const found = words.flatMap((word) => {
    const entry = entries.get(word)
    const having = withTerm.get(word) ?? 0
    return entry ? [{ entry, weight: Math.log(1 + (messages - having + 0.5) / (having + 0.5)) * (K1 + 1) }] : []
  })
  return found.sort((a, b) => b.weight - a.weight)
}

function addScores ({ entry, weight }: Weighted, { lengths }: SegmentTable, { averageLength }: Statistics): void {
  const perWord = K1 * B / averageLength
  const read = buffer.read(entry)
  const { places, counts } = buffer
  for (let i = 0; i < read; i++) {
    const place = places[i]!
    const count = counts[i]!
    scores[place]! += weight * count / (count + K1 * (1 - B) + perWord * lengths[place]!)
  }
}

/** Clears the scores of messages that do not have a term. */
function keepOnly (entry: Entry, count: number): void {
  const read = buffer.read(entry)
  let next = 0
  for (let i = 0; i < read; i++) {
    const place = buffer.places[i]!
    scores.fill(0, next, place)
    next = place + 1
  }
  scores.fill(0, next, count)
}

function collect (
  { table }: SearchedSegment, words: readonly Weighted[], { from, to }: Wanted, best: Best<Candidate>
): void {
  let possible = words.reduce((sum, { weight }) => sum + weight, 0)
  let least = best.worst?.score ?? 0
  for (const { entry, weight } of words) {
    // The words from here on are too common to make a message one of the best that has none of those before.
    if (possible < least) return
    possible -= weight
    const read = buffer.read(entry)
    for (let i = 0; i < read; i++) {
      const place = buffer.places[i]!
      const score = scores[place]!
      if (score === 0 || score < least) continue
      scores[place] = 0
      const time = table.times[place]!
      if (time < from || time >= to) continue
      best.add(new Candidate(score, table, place))
      least = best.worst?.score ?? 0
    }
  }
}
