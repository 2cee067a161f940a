import { join } from 'node:path'
import { open, type RootDatabase } from 'lmdb'
import { CommandError } from '../errors.ts'

/** Version of the on-disk format; a store written by a newer one is refused. */
export const FORMAT_VERSION = 1
const FORMAT_KEY = Buffer.from([0x00, 0x76])
// The map is address space, not disk: LMDB grows the file as needed and remaps beyond this.
const MAP_BYTES = 2 ** 36
const EMPTY = Buffer.alloc(0)

/** The file that has all data of a directory. */
export const DATA_FILE = 'store.mdb'

/** How the data of a directory are opened. */
export const environmentOptions = (directory: string) => ({
  path: join(directory, DATA_FILE),
  encoding: 'binary',
  keyEncoding: 'binary',
  overlappingSync: false,
  mapSize: MAP_BYTES,
  maxDbs: 1
} as const)

interface Pending {
  run: () => unknown
  resolve: (value: unknown) => void
  reject: (error: unknown) => void
}

/** A range of keys: `start` inclusive, `end` exclusive; `reverse` walks it from the end. */
export interface KeyRange {
  start: Buffer
  end: Buffer
  reverse?: boolean
  limit?: number
}

/**
 * Ordered bytes on LMDB. Writes are grouped: all that are queued when the event loop turns run in one transaction and
 * share its fsync; each promise resolves after that, so nothing acknowledged is lost by a kill or a power cut.
 *
 * Chosen by measuring: lmdb-js' asynchronous transactions stalled with `overlappingSync` off and, on, do not restore
 * the last flushed state after a power cut by default; a synchronous one costs one fsync and needs neither.
 */
export class Storage {
  private readonly db: RootDatabase<Buffer, Buffer>
  private pending: Pending[] = []
  private scheduled: Promise<void> | undefined
  private puts = 0
  private failed: Error | undefined
  /** Counts transactions; a reader that remembers it knows whether what it read ahead may be stale. */
  generation = 0
  /** Called after a transaction that wrote nothing because it failed: memory must be read again. */
  onAbort: () => void = () => {}

  /** Opens the environment in `directory`. Throws when its format is newer than this code. */
  constructor (directory: string) {
    this.db = open<Buffer, Buffer>(environmentOptions(directory))
    const stored = this.get(FORMAT_KEY)?.readUInt32BE(0)
    if (stored === undefined) {
      const version = Buffer.alloc(4)
      version.writeUInt32BE(FORMAT_VERSION)
      this.db.transactionSync(() => this.put(FORMAT_KEY, version))
    } else if (stored > FORMAT_VERSION) {
      void this.db.close()
      const known = `this version reads formats up to ${FORMAT_VERSION}`
      throw new Error(`the data in ${directory} has format ${stored}; ${known}`)
    }
  }

  get (key: Buffer): Buffer | undefined {
    return this.db.getBinary(key)
  }

  /** Only inside `write`. */
  put (key: Buffer, value: Uint8Array = EMPTY): void {
    this.puts++
    this.db.putSync(key, value as Buffer)
  }

  /** Only inside `write`. */
  remove (key: Buffer): void {
    this.puts++
    this.db.removeSync(key)
  }

  /** The keys of a range, read at once: no read transaction outlives the call. */
  keys (range: KeyRange): Buffer[] {
    return Array.from(this.db.getKeys(rangeOptions(range)), asBuffer)
  }

  /** The entries of a range, read at once. */
  entries (range: KeyRange): Array<{ key: Buffer, value: Buffer }> {
    return Array.from(this.db.getRange(rangeOptions(range)), ({ key, value }) => ({
      key: asBuffer(key),
      value: asBuffer(value)
    }))
  }

  /** How many keys are in a range. */
  count (start: Buffer, end: Buffer): number {
    return this.db.getKeysCount({ start, end })
  }

  /** Bytes the data file occupies. */
  get fileBytes (): number {
    const stats = this.db.getStats() as { pageSize?: number, lastPageNumber?: number }
    return (stats.pageSize ?? 4096) * ((stats.lastPageNumber ?? 0) + 1)
  }

  /** Forgets readers whose process has died: what they read would be kept for ever. */
  forgetDeadReaders (): void {
    this.db.readerCheck()
  }

  /**
   * Runs `run` in the next transaction and resolves with its result once that is durable. A CommandError refuses only
   * this writer, and what it put before stands: a document is checked before its first put. Anything unforeseen rolls
   * the whole transaction back, and every writer in it is told.
   */
  write<T> (run: () => T): Promise<T> {
    if (this.failed !== undefined) return Promise.reject(this.failed)
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.pending.push({ run, resolve, reject })
    this.scheduled ??= new Promise((resolve) => {
      // setImmediate comes after the sockets were read: commands that arrived together share one fsync.
      setImmediate(() => {
        this.scheduled = undefined
        this.commit()
        resolve()
      })
    })
    return promise as Promise<T>
  }

  private commit (): void {
    const batch = this.pending
    this.pending = []
    const settle: Array<() => void> = []
    try {
      // By default abortable and flushed: LMDB's own order of pages, fsync, meta page.
      this.db.transactionSync(() => {
        for (const write of batch) settle.push(this.runOne(write))
      })
      this.generation++
    } catch (error) {
      this.onAbort()
      for (const write of batch) write.reject(error)
      return
    }
    for (const done of settle) done()
  }

  private runOne (write: Pending): () => void {
    const before = this.puts
    try {
      const value = write.run()
      return () => write.resolve(value)
    } catch (error) {
      if (this.puts !== before && !(error instanceof CommandError)) throw error
      return () => write.reject(error)
    }
  }

  /** Finishes queued writes and closes the files. */
  async close (): Promise<void> {
    this.failed = new Error('the store is closed')
    await this.scheduled
    await this.db.close()
  }
}

function rangeOptions ({ start, end, reverse, limit }: KeyRange) {
  // In reverse lmdb-js takes the upper end as the start: exclusive here, and the lower end inclusive.
  return reverse === true
    ? { start: end, end: start, reverse, exclusiveStart: true, inclusiveEnd: true, limit }
    : { start, end, limit }
}

function asBuffer (bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
