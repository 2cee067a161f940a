import { ByteWriter } from './byte-writer.ts'

/**
 * Which messages of a segment have a term, and how often: place, count, place, count, … in ascending order of the
 * places.
 */
export type Postings = number[]

/** Where the postings of a term stand in a block. */
export interface Entry {
  /** How many messages have the term. */
  readonly messages: number
  readonly block: Uint8Array
  readonly start: number
  readonly end: number
}

/**
 * Writes terms with their postings: of each term its length and bytes, the number of its messages, the length of its
 * postings and these. A place is written as its distance from the one before, with a bit that says whether a count
 * follows; mostly a term is there once, and both take one byte.
 */
export function encodeBlock (terms: Iterable<readonly [term: string, postings: Postings]>): Buffer {
  const block = new ByteWriter()
  const list = new ByteWriter()
  for (const [term, postings] of terms) {
    list.clear()
    let next = 0
    for (let i = 0; i < postings.length; i += 2) {
      const place = postings[i]!
      const count = postings[i + 1]!
      list.number((place - next) * 2 + (count === 1 ? 0 : 1))
      if (count !== 1) list.number(count)
      next = place + 1
    }
    block.block(Buffer.from(term))
    block.number(postings.length / 2)
    block.block(list.written)
  }
  return Buffer.from(block.written)
}

/** Finds a term in a block. Undefined: it is not there. */
export function findTerm (block: Uint8Array, term: string): Entry | undefined {
  const wanted = Buffer.from(term)
  const entries = new EntryReader(block)
  while (entries.next()) {
    const { termStart: start, termLength: length } = entries
    if (length === wanted.length && wanted.compare(block, start, start + length) === 0) return entries.entry
  }
  return undefined
}

/** All that a block holds. */
export function * decodeBlock (block: Uint8Array): Iterable<[term: string, postings: Postings]> {
  const entries = new EntryReader(block)
  const buffer = new PostingsBuffer()
  while (entries.next()) {
    const term = Buffer.from(block.buffer, block.byteOffset + entries.termStart, entries.termLength).toString()
    const postings: Postings = []
    const read = buffer.read(entries.entry)
    for (let i = 0; i < read; i++) postings.push(buffer.places[i]!, buffer.counts[i]!)
    yield [term, postings]
  }
}

/** Room for postings that are read: a common word has a hundred thousand, and to make room again takes too long. */
export class PostingsBuffer {
  places = new Int32Array(0)
  counts = new Int32Array(0)

  /** Reads the postings of a term, in the place of those before. Answers how many there are. */
  read ({ messages, block, start, end }: Entry): number {
    if (messages > this.places.length) {
      this.places = new Int32Array(messages)
      this.counts = new Int32Array(messages)
    }
    const { places, counts } = this
    let next = 0
    let read = 0
    for (let at = start; at < end; read++) {
      let byte = block[at++]!
      let value = byte & 127
      for (let shift = 7; byte > 127; shift += 7) {
        byte = block[at++]!
        value |= (byte & 127) << shift
      }
      const place = next + (value >>> 1)
      places[read] = place
      next = place + 1
      let count = 1
      if (value & 1) {
        byte = block[at++]!
        count = byte & 127
        for (let shift = 7; byte > 127; shift += 7) {
          byte = block[at++]!
          count |= (byte & 127) << shift
        }
      }
      counts[read] = count
    }
    return read
  }
}

/** Goes from entry to entry of a block. */
class EntryReader {
  readonly #block: Uint8Array
  termStart = 0
  termLength = 0
  #messages = 0
  #start = 0
  #end = 0

  constructor (block: Uint8Array) {
    this.#block = block
  }

  /** The entry that `next` went to. */
  get entry (): Entry {
    return { messages: this.#messages, block: this.#block, start: this.#start, end: this.#end }
  }

  /** False: there is no further one. */
  next (): boolean {
    if (this.#end >= this.#block.length) return false
    this.#start = this.#end
    this.termLength = this.#number()
    this.termStart = this.#start
    this.#start += this.termLength
    this.#messages = this.#number()
    const length = this.#number()
    this.#end = this.#start + length
    return true
  }

  #number (): number {
    let byte = this.#block[this.#start++]!
    let value = byte & 127
    for (let shift = 7; byte > 127; shift += 7) {
      byte = this.#block[this.#start++]!
      value |= (byte & 127) << shift
    }
    return value
  }
}
