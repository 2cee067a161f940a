import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { CommandError } from '../errors.ts'
import { PAUSE } from './scan.ts'
import { MAX_DOCUMENT_BYTES } from '../values/values.ts'

/** A lazy row of documents. */
export interface DocumentStream {
  /** The next document's bytes, PAUSE when others may run, undefined at the end. */
  next: () => Uint8Array | typeof PAUSE | undefined
}

/** Documents of a first batch when the client names no size. */
export const DEFAULT_BATCH = 101
/** How long an unused cursor lives, in milliseconds. */
export const CURSOR_TIMEOUT_MS = 10 * 60 * 1000
const MAX_CURSORS = 10_000
const MAX_CURSORS_PER_CONNECTION = 1000
/** A scan lets others run after this many milliseconds. */
const TIME_SLICE_MS = 10

interface Cursor {
  id: bigint
  namespace: string
  stream: DocumentStream
  owner: object
  session: string | undefined
  usedAt: number
  isBusy: boolean
  /** A document that did not fit the last batch. */
  held: Uint8Array | undefined
}

/** Who opens a cursor: it ends with its connection and with its session. */
export interface CursorOwner {
  connection: object
  session: string | undefined
}

/** A batch and the cursor to go on with (0: none). */
export interface Batch {
  cursorId: bigint
  batch: Uint8Array[]
}

/** The open cursors of the server. */
export class Cursors {
  private readonly open = new Map<bigint, Cursor>()
  private readonly now: () => number

  constructor (now: () => number = Date.now) {
    this.now = now
  }

  get size (): number {
    return this.open.size
  }

  /** The first batch of a stream; what is left becomes a cursor unless `single`. */
  async first (
    namespace: string,
    stream: DocumentStream,
    batchSize: number,
    owner: CursorOwner,
    single = false
  ): Promise<Batch> {
    const cursor: Cursor = {
      id: newId(),
      namespace,
      stream,
      owner: owner.connection,
      session: owner.session,
      usedAt: this.now(),
      isBusy: true,
      held: undefined
    }
    const { batch, isDone } = await fill(cursor, batchSize)
    cursor.isBusy = false
    if (isDone || single) return { cursorId: 0n, batch }
    this.add(cursor)
    return { cursorId: cursor.id, batch }
  }

  /** The next batch. Throws CommandError 43 when there is no such cursor on the namespace. */
  async more (id: bigint, namespace: string, batchSize: number): Promise<Batch> {
    const cursor = this.open.get(id)
    if (cursor === undefined) throw new CommandError(43, `cursor id ${id} not found`)
    if (cursor.namespace !== namespace) {
      throw new CommandError(
        13,
        `Requested getMore on namespace '${namespace}', but cursor belongs to a different namespace ${cursor.namespace}`
      )
    }
    if (cursor.isBusy) throw new CommandError(12051, `cursor id ${id} is already in use`)
    cursor.isBusy = true
    try {
      const { batch, isDone } = await fill(cursor, batchSize)
      if (!this.open.has(id)) throw new CommandError(237, 'cursor was killed while in use')
      if (isDone) this.open.delete(id)
      return { cursorId: isDone ? 0n : id, batch }
    } catch (error) {
      this.open.delete(id)
      throw error
    } finally {
      cursor.isBusy = false
      cursor.usedAt = this.now()
    }
  }

  /** Ends a cursor; false when there is none on the namespace. */
  kill (id: bigint, namespace: string): boolean {
    return this.open.get(id)?.namespace === namespace && this.open.delete(id)
  }

  /** Ends a connection's cursors. */
  killOwnedBy (connection: object): void {
    this.killWhere((cursor) => cursor.owner === connection)
  }

  /** Ends a session's cursors. */
  killSession (session: string): void {
    this.killWhere((cursor) => cursor.session === session)
  }

  /** Ends the cursors of a collection that is dropped. */
  killNamespace (namespace: string): void {
    this.killWhere((cursor) => cursor.namespace === namespace)
  }

  /** Ends what nobody has asked for too long. */
  expire (): void {
    const oldest = this.now() - CURSOR_TIMEOUT_MS
    this.killWhere((cursor) => !cursor.isBusy && cursor.usedAt < oldest)
  }

  private killWhere (test: (cursor: Cursor) => boolean): void {
    for (const cursor of this.open.values()) if (test(cursor)) this.open.delete(cursor.id)
  }

  private add (cursor: Cursor): void {
    let owned = 0
    for (const { owner } of this.open.values()) if (owner === cursor.owner) owned++
    if (this.open.size >= MAX_CURSORS || owned >= MAX_CURSORS_PER_CONNECTION) {
      throw new CommandError(2, 'too many open cursors')
    }
    this.open.set(cursor.id, cursor)
  }
}

function newId (): bigint {
  return BigInt.asIntN(63, randomBytes(8).readBigUInt64LE()) || 1n
}

async function fill (cursor: Cursor, batchSize: number): Promise<{ batch: Uint8Array[], isDone: boolean }> {
  const batch: Uint8Array[] = []
  let bytes = 0
  let until = performance.now() + TIME_SLICE_MS
  while (batch.length < batchSize) {
    const next = cursor.held ?? cursor.stream.next()
    cursor.held = undefined
    if (next === undefined) return { batch, isDone: true }
    if (next === PAUSE) {
      if (performance.now() > until) {
        await setImmediate()
        until = performance.now() + TIME_SLICE_MS
      }
      continue
    }
    bytes += next.length
    if (bytes > MAX_DOCUMENT_BYTES && batch.length > 0) {
      cursor.held = next
      return { batch, isDone: false }
    }
    batch.push(next)
  }
  return { batch, isDone: false }
}

/** Reads a stream to its end, letting others run. */
export async function drain (stream: DocumentStream): Promise<number> {
  let count = 0
  let until = performance.now() + TIME_SLICE_MS
  for (let next = stream.next(); next !== undefined; next = stream.next()) {
    if (next !== PAUSE) count++
    else if (performance.now() > until) {
      await setImmediate()
      until = performance.now() + TIME_SLICE_MS
    }
  }
  return count
}
