import { type Collection, type Db, type ObjectId, type WithoutId } from 'mongodb'
import { type Fallback } from '../llm/provider.ts'
import { insertNew } from './insert-new.ts'
import { parseId } from './ids.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'

/** What a team says of a chatbot, every default filled in. */
export interface ChatbotSettings {
  name: string
  purpose: string
  domain: string[]
  tone: { style: string, language: string }
  channels: string[]
  integrations: string[]
  instructions: string
  model: { name?: string, temperature?: number, maxTokens?: number }
  fallback: Fallback
  historyLimit: number
}

export interface Chatbot extends ChatbotSettings {
  readonly id: string
  readonly tenantId: string
  readonly version: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** A chatbot as it is stored. */
export interface ChatbotDocument extends Omit<Chatbot, 'id' | 'fallback'> {
  _id: ObjectId
  /** Absent in documents that are older than the setting. */
  fallback?: Fallback
  /** Set: deleted for every reader; its sessions are being purged. */
  deletedAt: Date | null
}

/** A chatbot as the core knows it. */
export function toChatbot ({ _id, deletedAt: _, fallback = 'none', ...rest }: ChatbotDocument): Chatbot {
  return { id: _id.toHexString(), fallback, ...rest }
}

/** The collection `configs`. Deleting only marks a chatbot, so that what belongs to it can be purged in the background. */
export class ChatbotRepository {
  readonly #collection: Collection<ChatbotDocument>

  constructor (db: Db) {
    this.#collection = db.collection('configs')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { tenantId: 1, createdAt: -1, _id: -1 } },
      { key: { deletedAt: 1 }, partialFilterExpression: { deletedAt: { $type: 'date' } } }
    ])
  }

  /** Undefined: there is one with this id already. */
  async insert (id: string, tenantId: string, settings: ChatbotSettings, now: Date): Promise<Chatbot | undefined> {
    const document: ChatbotDocument = {
      _id: parseId(id)!, tenantId, ...settings, version: 1, createdAt: now, updatedAt: now, deletedAt: null
    }
    return await insertNew(this.#collection, document) ? toChatbot(document) : undefined
  }

  async find (tenantId: string, id: string): Promise<Chatbot | undefined> {
    const _id = parseId(id)
    const document = _id && await this.#collection.findOne({ _id, tenantId, deletedAt: null })
    return document ? toChatbot(document) : undefined
  }

  /** Which of `ids` are not deleted. */
  async living (tenantId: string, ids: string[]): Promise<Set<string>> {
    const found = await this.#collection
      .find({ _id: { $in: ids.map((id) => parseId(id)!) }, tenantId, deletedAt: null })
      .project<{ _id: ObjectId }>({ _id: 1 })
      .toArray()
    return new Set(found.map(({ _id }) => _id.toHexString()))
  }

  async page (tenantId: string, request: PageRequest): Promise<PageOf<Chatbot>> {
    const { data, nextCursor } = await findPage(this.#collection, { tenantId, deletedAt: null }, 'createdAt', request)
    return { data: data.map(toChatbot), nextCursor }
  }

  /** Undefined: there is no such chatbot, or, where `version` is given, it has another version by now. */
  async replace (
    tenantId: string, id: string, settings: ChatbotSettings, now: Date, version?: number
  ): Promise<Chatbot | undefined> {
    const _id = parseId(id)
    const document = _id && await this.#collection.findOneAndUpdate(
      { _id, tenantId, deletedAt: null, ...(version !== undefined && { version }) },
      { $set: { ...settings, updatedAt: now } satisfies Partial<WithoutId<ChatbotDocument>>, $inc: { version: 1 } },
      { returnDocument: 'after' }
    )
    return document ? toChatbot(document) : undefined
  }

  /** Hides a chatbot from every reader. False: there is none. */
  async markDeleted (tenantId: string, id: string, now: Date): Promise<boolean> {
    const _id = parseId(id)
    if (!_id) return false
    const { matchedCount } = await this.#collection.updateOne({ _id, tenantId, deletedAt: null }, { $set: { deletedAt: now } })
    return matchedCount === 1
  }

  /** Chatbots that are marked as deleted and still there. */
  async deleted (limit: number): Promise<string[]> {
    const found = await this.#collection
      .find({ deletedAt: { $type: 'date' } })
      .project<{ _id: ObjectId }>({ _id: 1 })
      .limit(limit)
      .toArray()
    return found.map(({ _id }) => _id.toHexString())
  }

  /** Removes a chatbot that is marked as deleted. */
  async purge (id: string): Promise<void> {
    await this.#collection.deleteOne({ _id: parseId(id)!, deletedAt: { $type: 'date' } })
  }
}
