import { type Collection, type Db, MongoBulkWriteError, type ObjectId, type OptionalId } from 'mongodb'
import { type ChatbotSettings, settingsIn, type StoredSettings } from './chatbot-settings.ts'
import { parseId } from './ids.ts'

const PURGE_BATCH = 200

/** What is known of a version without its settings. */
export interface ChatbotVersionHead {
  readonly version: number
  readonly note: string | null
  readonly createdAt: Date
}

/** What a chatbot was from one change to the next. It never changes. */
export interface ChatbotVersion extends ChatbotVersionHead {
  readonly settings: ChatbotSettings
}

/** Whose versions are meant. */
export interface VersionedChatbot {
  readonly tenantId: string
  readonly id: string
}

interface VersionDocument extends ChatbotVersionHead {
  _id: ObjectId
  tenantId: string
  configId: ObjectId
  settings: StoredSettings
}

type HeadDocument = Omit<VersionDocument, 'settings'>

const toHead = ({ version, note, createdAt }: HeadDocument): ChatbotVersionHead => ({ version, note, createdAt })

const toVersion = (document: VersionDocument): ChatbotVersion => ({ ...toHead(document), settings: settingsIn(document.settings) })

const isTwin = ({ code }: { code: number }) => code === 11000

/** The collection `configVersions`: what chatbots were before. What a chatbot is now stands in `configs` alone. */
export class ChatbotVersionRepository {
  readonly #collection: Collection<OptionalId<VersionDocument>>

  constructor (db: Db) {
    this.#collection = db.collection('configVersions')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { configId: 1, version: -1 }, unique: true }])
  }

  /** Keeps versions; those that are kept already stay as they are. */
  async keep ({ tenantId, id }: VersionedChatbot, versions: readonly ChatbotVersion[]): Promise<void> {
    const documents = versions.map((version) => ({ tenantId, configId: parseId(id)!, ...version }))
    try {
      await this.#collection.insertMany(documents, { ordered: false })
    } catch (error) {
      if (!(error instanceof MongoBulkWriteError) || ![error.writeErrors].flat().every(isTwin)) throw error
    }
  }

  async find ({ tenantId, id }: VersionedChatbot, version: number): Promise<ChatbotVersion | undefined> {
    const document = await this.#collection.findOne({ tenantId, configId: parseId(id)!, version })
    return document ? toVersion(document) : undefined
  }

  /** Those before `below`, the newest first. */
  async heads ({ tenantId, id }: VersionedChatbot, below: number, limit: number): Promise<ChatbotVersionHead[]> {
    const found = await this.#collection
      .find({ tenantId, configId: parseId(id)!, version: { $lt: below } })
      .project<HeadDocument>({ settings: 0 })
      .sort({ version: -1 })
      .limit(limit)
      .toArray()
    return found.map(toHead)
  }

  /** Those before `below` with their settings, the newest first, read as they are asked for. */
  async * newest ({ tenantId, id }: VersionedChatbot, below: number, limit: number): AsyncIterable<ChatbotVersion> {
    const cursor = this.#collection
      .find({ tenantId, configId: parseId(id)!, version: { $lt: below } })
      .sort({ version: -1 })
      .limit(limit)
    for await (const document of cursor) yield toVersion(document)
  }

  /** Removes all versions of a chatbot, in small steps. */
  async purge (configId: string): Promise<void> {
    for (;;) {
      const found = await this.#collection
        .find({ configId: parseId(configId)! })
        .project<{ _id: ObjectId }>({ _id: 1 })
        .limit(PURGE_BATCH)
        .toArray()
      if (found.length === 0) return
      await this.#collection.deleteMany({ _id: { $in: found.map(({ _id }) => _id) } })
    }
  }
}
