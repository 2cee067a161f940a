import { type Db, type Document, type Filter, type ObjectId } from 'mongodb'
import { type MessageDocument } from '../messages.ts'
import { afterConversations, beforeConversations, conversationCollections, lastCollection, leftOut } from './collections.ts'
import { decoded, encoded, type RawDocument } from './raw-documents.ts'
import { type LaterSession, SessionCut } from './session-cut.ts'

/** Some documents of a collection. */
export interface Batch {
  readonly collection: string
  readonly documents: readonly RawDocument[]
}

const SESSIONS = 200
const BATCH_BYTES = 1024 * 1024

interface Owned extends Document {
  sessionId: ObjectId
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

  async * #collection (name: string): AsyncIterable<Batch> {
    yield * this.#batches(name, {}, (raw) => this.#seen(name, raw))
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
      const filter: Filter<Document> = last ? { _id: { $gt: last } } : {}
      const page = await this.#raw('sessions', filter).sort({ _id: 1 }).limit(SESSIONS).toArray()
      const cuts = new Map(page.map((raw) => new SessionCut(raw as unknown as RawDocument)).map((cut) => [hex(cut.id), cut]))
      if (cuts.size === 0) return
      const sessions = [...cuts.values()]
      const owned = { sessionId: { $in: sessions.map(({ id }) => id) } }
      for (const { configId, tenantId } of sessions) this.#configs.set(hex(configId), { _id: configId, tenantId })

      yield * this.#batches('messages', owned, (raw) => {
        const message = decoded<MessageDocument>(raw)
        return cuts.get(hex(message.sessionId))!.message(raw, message)
      })
      yield * this.#batches('changes', owned, (raw) => {
        const change = decoded<Owned & { rev: number }>(raw)
        return cuts.get(hex(change.sessionId))!.hasChange(change) ? raw : undefined
      })
      const now = await this.#db.collection<LaterSession & { _id: ObjectId }>('sessions')
        .find({ _id: { $in: sessions.map(({ id }) => id) } }, { projection: { status: 1, clearedSeq: 1 } })
        .toArray()
      const later = new Map(now.map((session) => [hex(session._id), session]))
      yield { collection: 'sessions', documents: sessions.map((cut) => cut.session(later.get(hex(cut.id)))) }
      last = sessions.at(-1)!.id
    }
  }

  /** Chatbots that were removed after their sessions were read: marked as deleted, so that these are removed as well. */
  async * #goneConfigs (): AsyncIterable<Batch> {
    const gone = [...this.#configs].filter(([id]) => !this.#versions.has(id)).map(([, config]) => config)
    if (gone.length === 0) return
    yield { collection: 'configs', documents: gone.map((config) => encoded({ ...config, deletedAt: new Date() })) }
  }

  async * #batches (collection: string, filter: Filter<Document>, kept: (raw: RawDocument) => RawDocument | undefined): AsyncIterable<Batch> {
    let [documents, bytes]: [RawDocument[], number] = [[], 0]
    for await (const found of this.#raw(collection, filter)) {
      const raw = kept(found as unknown as RawDocument)
      if (raw === undefined) continue
      documents.push(raw)
      bytes += raw.length
      if (bytes < BATCH_BYTES) continue
      yield { collection, documents }
      ;[documents, bytes] = [[], 0]
    }
    if (documents.length > 0) yield { collection, documents }
  }

  #raw (collection: string, filter: Filter<Document>) {
    return this.#db.collection(collection).find(filter, { raw: true, batchSize: 1000 })
  }
}
