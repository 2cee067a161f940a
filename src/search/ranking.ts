import { eachPosting, type Entry } from './postings.ts'
import { idAt, type SegmentFigures, type SegmentTable } from './segment.ts'

/** A segment as it is searched. */
export interface SearchedSegment extends Pick<SegmentFigures, 'count' | 'words'> {
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

export interface Candidate {
  readonly id: string
  readonly score: number
}

/** How common words are among all messages of a tenant. */
export interface Statistics {
  readonly messages: number
  /** Words of a message, on average. */
  readonly averageLength: number
  /** How many messages have a term. */
  readonly withTerm: ReadonlyMap<string, number>
}

interface Ranked extends Candidate {
  readonly time: number
}

// Okapi BM25 with the constants that its authors recommend.
const K1 = 1.2
const B = 0.75

/** The best matches, at most `limit`, the best first; of equal ones the newest. */
export function rank (segments: readonly SearchedSegment[], wanted: Wanted, statistics: Statistics, limit: number): Candidate[] {
  const best = new Best(limit)
  for (const segment of segments) {
    if (!wanted.filters.every((filter) => segment.entries.has(filter))) continue
    collect(segment, wanted, scoresOf(segment, wanted, statistics), best)
  }
  return best.sorted()
}

function scoresOf ({ count, table, entries }: SearchedSegment, { words }: Wanted, statistics: Statistics): Float64Array {
  const scores = new Float64Array(count)
  const { lengths } = table
  const { messages, averageLength, withTerm } = statistics
  for (const word of words) {
    const entry = entries.get(word)
    if (!entry) continue
    const having = withTerm.get(word)!
    const weight = Math.log(1 + (messages - having + 0.5) / (having + 0.5)) * (K1 + 1)
    const perWord = K1 * B / averageLength
    eachPosting(entry, (place, count) => {
      scores[place]! += weight * count / (count + K1 * (1 - B) + perWord * lengths[place]!)
    })
  }
  return scores
}

function collect ({ table, dead, entries }: SearchedSegment, wanted: Wanted, scores: Float64Array, best: Best): void {
  for (const place of dead) scores[place] = 0
  const isAllowed = allowedBy(wanted.filters, entries, scores.length)
  const { ids, times } = table
  for (let place = 0; place < scores.length; place++) {
    const score = scores[place]!
    if (score === 0 || score < best.threshold || !isAllowed(place)) continue
    const time = times[place]!
    if (time >= wanted.from && time < wanted.to) best.add({ id: idAt(ids, place), score, time })
  }
}

function allowedBy (filters: readonly string[], entries: ReadonlyMap<string, Entry>, count: number): (place: number) => boolean {
  if (filters.length === 0) return () => true
  const passed = new Uint8Array(count)
  for (const filter of filters) {
    eachPosting(entries.get(filter)!, (place) => { passed[place]!++ })
  }
  return (place) => passed[place] === filters.length
}

/** The best of many, without keeping them all. */
class Best {
  readonly #limit: number
  #found: Ranked[] = []
  /** What scores less is not among them. */
  threshold = 0

  constructor (limit: number) {
    this.#limit = limit
  }

  add (ranked: Ranked): void {
    this.#found.push(ranked)
    if (this.#found.length >= this.#limit * 2) this.#cut()
  }

  sorted (): Candidate[] {
    this.#cut()
    // What was being indexed meanwhile may be there twice.
    return this.#found.filter(({ id }, i) => id !== this.#found[i - 1]?.id)
  }

  #cut (): void {
    this.#found.sort((a, b) => b.score - a.score || b.time - a.time || (a.id < b.id ? 1 : -1))
    this.#found.length = Math.min(this.#found.length, this.#limit)
    if (this.#found.length === this.#limit) this.threshold = this.#found.at(-1)!.score
  }
}
