import { type Db, type Document, type Filter, type FindCursor, type ObjectId } from 'mongodb'
import { type MessageDocument } from '../message.ts'
import { afterConversations, beforeConversations, conversationCollections, lastCollection, leftOut } from './collections.ts'
import { decoded, encoded, type RawDocument } from './raw-documents.ts'
import { type LaterSession, SessionCut } from './session-cut.ts'

/** Some documents of a collection. */
export interface Batch {
  readonly collection: string
  readonly documents: readonly RawDocument[]
}

const SESSIONS = 200
/** How many messages are read before their sessions are looked at once more, and how much of that is held in memory. */
const TOGETHER = 5000
const HELD_BYTES = 32 * 1024 * 1024
const BATCH_BYTES = 1024 * 1024

interface Owned extends Document {
  sessionId: ObjectId
}

/** A document of a session. */
interface Part {
  readonly collection: string
  readonly session: string
  readonly raw: RawDocument
}

const hex = (id: ObjectId) => id.toHexString()

/** Reads all that a backup has of a database, in an order and with cuts that make it whole although others write meanwhile. */
export class BackupReader {
  readonly #db: Db
  /** Which tenants the chatbots belong to that sessions name. */
  readonly #configs = new Map<string, { readonly _id: ObjectId, readonly tenantId: string }>()
  /** How far chatbots had come when they were read. */
  readonly #versions = new Map<string, number>()

  constructor (db: Db) {
    this.#db = db
  }

  /** What has been brought up to date in the data. */
  async migrations (): Promise<string[]> {
    return (await this.#db.collection<{ _id: string }>('migrations').find().sort({ _id: 1 }).toArray()).map(({ _id }) => _id)
  }

  async * read (): AsyncIterable<Batch> {
    const found = await this.#db.listCollections({}, { nameOnly: true }).toArray()
    const present = new Set(found.map(({ name }) => name).filter((name) => !name.startsWith('system.') && !leftOut.includes(name)))
    const named = new Set([...beforeConversations, ...conversationCollections, ...afterConversations, lastCollection])
    for (const name of beforeConversations) if (present.has(name)) yield * this.#collection(name)
    if (present.has('sessions')) yield * this.#conversations()
    const others = [...present].filter((name) => !named.has(name)).sort()
    for (const name of [...afterConversations, ...others, lastCollection]) {
      if (present.has(name)) yield * this.#collection(name)
      if (name === 'configs') yield * this.#goneConfigs()
    }
  }

  async * #collection (collection: string): AsyncIterable<Batch> {
    let [documents, bytes]: [RawDocument[], number] = [[], 0]
    for await (const found of this.#raw(collection, {})) {
      const raw = this.#seen(collection, found)
      if (raw === undefined) continue
      documents.push(raw)
      bytes += raw.length
      if (bytes < BATCH_BYTES) continue
      yield { collection, documents }
      ;[documents, bytes] = [[], 0]
    }
    if (documents.length > 0) yield { collection, documents }
  }

  /** A document as it is to be kept, or undefined, where it is newer than what it belongs to. */
  #seen (name: string, raw: RawDocument): RawDocument | undefined {
    if (name === 'configs') {
      const { _id, version } = decoded<{ _id: ObjectId, version?: number }>(raw)
      this.#versions.set(hex(_id), version ?? 1)
    } else if (name === 'configVersions') {
      // A version that the chatbot has not had would be taken for the one that it comes to have.
      const { configId, version } = decoded<{ configId: ObjectId, version: number }>(raw)
      return version < (this.#versions.get(hex(configId)) ?? 0) ? raw : undefined
    }
    return raw
  }

  async * #conversations (): AsyncIterable<Batch> {
    let last: ObjectId | undefined
    for (;;) {
      const page = await this.#sessions(last ? { _id: { $gt: last } } : {})
      if (page.length === 0) return
      for (const { configId, tenantId } of page) this.#configs.set(hex(configId), { _id: configId, tenantId })
      let together: SessionCut[] = []
      for (const cut of page) {
        together.push(cut)
        if (together.reduce((total, { size }) => total + size, 0) < TOGETHER && cut !== page.at(-1)) continue
        yield * this.#whole(together)
        together = []
      }
      last = page.at(-1)!.id
    }
  }

  /** Sessions with all that belongs to them. Those that were cleared while they were read are read again. */
  async * #whole (cuts: readonly SessionCut[]): AsyncIterable<Batch> {
    let [held, bytes, isHeld]: [Part[], number, boolean] = [[], 0, true]
    for await (const part of this.#parts(new Map(cuts.map((cut) => [cut.key, cut])))) {
      held.push(part)
      bytes += part.raw.length
      if (bytes < HELD_BYTES) continue
      yield * batches(held)
      ;[held, bytes, isHeld] = [[], 0, false]
    }
    const now = await this.#db.collection<LaterSession & { _id: ObjectId }>('sessions')
      .find({ _id: { $in: cuts.map(({ id }) => id) } }, { projection: { status: 1, clearedSeq: 1 } })
      .toArray()
    const later = new Map(now.map((session) => [hex(session._id), session]))
    const sessions = new Map(cuts.map((cut) => [cut.key, cut.session(later.get(cut.key))]))
    const cleared = cuts.filter(({ key }) => sessions.get(key) === undefined)
    if (cleared.length > 0 && !isHeld) throw new Error(`session ${cleared[0]!.key} was cleared while it was read; try again`)
    yield * batches(held.filter(({ session }) => sessions.get(session) !== undefined))
    yield { collection: 'sessions', documents: [...sessions.values()].filter((raw) => raw !== undefined) }
    if (cleared.length > 0) yield * this.#whole(await this.#sessions({ _id: { $in: cleared.map(({ id }) => id) } }))
  }

  /** The messages and changes of sessions. */
  async * #parts (cuts: ReadonlyMap<string, SessionCut>): AsyncIterable<Part> {
    const owned = { sessionId: { $in: [...cuts.values()].map(({ id }) => id) } }
    for await (const found of this.#raw('messages', owned)) {
      const message = decoded<MessageDocument>(found)
      const session = hex(message.sessionId)
      const raw = cuts.get(session)!.message(found, message)
      if (raw) yield { collection: 'messages', session, raw }
    }
    for await (const raw of this.#raw('changes', owned)) {
      const change = decoded<Owned & { rev: number }>(raw)
      const session = hex(change.sessionId)
      if (cuts.get(session)!.hasChange(change)) yield { collection: 'changes', session, raw }
    }
  }

  async #sessions (filter: Filter<Document>): Promise<SessionCut[]> {
    const found = await this.#raw('sessions', filter).sort({ _id: 1 }).limit(SESSIONS).toArray()
    return found.map((raw) => new SessionCut(raw))
  }

  /** Chatbots that were removed after their sessions were read: marked as deleted, so that these are removed as well. */
  async * #goneConfigs (): AsyncIterable<Batch> {
    const gone = [...this.#configs].filter(([id]) => !this.#versions.has(id)).map(([, config]) => config)
    if (gone.length === 0) return
    yield { collection: 'configs', documents: gone.map((config) => encoded({ ...config, deletedAt: new Date() })) }
  }

  #raw (collection: string, filter: Filter<Document>): FindCursor<RawDocument> {
    return this.#db.collection(collection).find(filter, { raw: true, batchSize: 1000 }) as unknown as FindCursor<RawDocument>
  }
}

function * batches (parts: readonly Part[]): Iterable<Batch> {
  for (const [collection, own] of Map.groupBy(parts, ({ collection }) => collection)) {
    yield { collection, documents: own.map(({ raw }) => raw) }
  }
}
