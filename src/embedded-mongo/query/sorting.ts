import { CommandError } from '../errors.ts'
import { documentKeys } from '../storage/index-keys.ts'
import { encodeKey } from '../storage/key-encoding.ts'
import { type SortField } from './planner.ts'
import { type Document } from '../values/values.ts'

/** Memory a sort without an index may take, as MongoDB's default. */
export const MAX_SORT_BYTES = 100 * 1024 * 1024

/** Bytes whose order is the order asked for: of an array the smallest element counts, descending the largest. */
export function sortKey (document: Document, sort: readonly SortField[]): Buffer {
  return Buffer.concat(sort.map(({ path, direction }) => {
    const { rows } = documentKeys(document, [path.split('.')])
    const keys = rows.map((row) => encodeKey(row, [direction]))
    return keys.reduce((a, b) => Buffer.compare(a, b) <= 0 ? a : b)
  }))
}

interface Sorted<T> {
  key: Buffer
  value: T
}

/**
 * Sorts what is added; stable. With a limit it keeps only about twice as many as asked for. Throws CommandError 292
 * above the memory bound.
 */
export class Sorter<T> {
  private items: Array<Sorted<T>> = []
  private bytes = 0
  private readonly limit: number
  private readonly sizeOf: (value: T) => number

  constructor (limit: number, sizeOf: (value: T) => number) {
    this.limit = limit
    this.sizeOf = sizeOf
  }

  add (key: Buffer, value: T): void {
    this.items.push({ key, value })
    this.bytes += key.length + this.sizeOf(value)
    if (this.items.length > 2 * this.limit + 64) this.trim()
    if (this.bytes > MAX_SORT_BYTES) this.trim()
    if (this.bytes > MAX_SORT_BYTES) {
      throw new CommandError(292, `Sort exceeded memory limit of ${MAX_SORT_BYTES} bytes; add an index or a limit`)
    }
  }

  private trim (): void {
    this.items.sort((a, b) => Buffer.compare(a.key, b.key))
    this.items.length = Math.min(this.items.length, this.limit)
    this.bytes = this.items.reduce((sum, { key, value }) => sum + key.length + this.sizeOf(value), 0)
  }

  finish (): T[] {
    this.items.sort((a, b) => Buffer.compare(a.key, b.key))
    return this.items.slice(0, this.limit).map(({ value }) => value)
  }
}
