import { type Collection, type Db, type ObjectId, type WithoutId } from 'mongodb'
import { type ChatbotSettings, settingsIn, type StoredSettings } from './chatbot-settings.ts'
import { type ChatbotVersion, ChatbotVersionRepository } from './chatbot-versions.ts'
import { insertNew } from './insert-new.ts'
import { parseId } from './ids.ts'
import { addEntry, type OutboxEntry, OutboxRepository, outboxIndex, withEntry, type WithOutbox } from './outbox.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'

export interface Chatbot extends ChatbotSettings {
  readonly id: string
  readonly tenantId: string
  readonly version: number
  /** Of this version. */
  readonly note: string | null
  readonly specificationId: string | null
  readonly createdAt: Date
  /** When this version was made. */
  readonly updatedAt: Date
}

/** What lists of names tell of a chatbot. */
export type ChatbotBrief = Pick<Chatbot, 'id' | 'name' | 'createdAt'>

/** What is said with a change: the settings, and why they are changed. */
export interface ChatbotChange {
  readonly settings: ChatbotSettings
  readonly note: string | null
}

/** A chatbot as it is stored. */
export interface ChatbotDocument extends StoredSettings, WithOutbox {
  _id: ObjectId
  tenantId: string
  version: number
  note?: string | null
  specificationId?: ObjectId | null
  createdAt: Date
  updatedAt: Date
  /** Set: deleted for every reader; its sessions are being purged. */
  deletedAt: Date | null
  /** Somebody is about to delete it, and looks whether they may. */
  leaving?: string | null
}

/** A chatbot as the core knows it. */
export function toChatbot (document: ChatbotDocument): Chatbot {
  const { _id, tenantId, version, note = null, specificationId, createdAt, updatedAt } = document
  return {
    id: _id.toHexString(),
    tenantId,
    ...settingsIn(document),
    specificationId: specificationId?.toHexString() ?? null,
    version,
    note,
    createdAt,
    updatedAt
  }
}

/** The version that a chatbot is now. */
export function currentVersion (chatbot: Chatbot): ChatbotVersion {
  const { version, note, updatedAt } = chatbot
  return { version, note, createdAt: updatedAt, settings: settingsIn(chatbot) }
}

/**
 * The collection `configs`: what chatbots are now. What they were before is in `versions`. Deleting only marks a chatbot, so
 * that what belongs to it can be purged in the background.
 */
export class ChatbotRepository {
  readonly versions: ChatbotVersionRepository
  readonly outbox: OutboxRepository
  readonly #collection: Collection<ChatbotDocument>

  constructor (db: Db) {
    this.versions = new ChatbotVersionRepository(db)
    this.outbox = new OutboxRepository(db.collection('configs'))
    this.#collection = db.collection('configs')
  }

  async createIndexes (): Promise<void> {
    await Promise.all([
      this.versions.createIndexes(),
      this.#collection.createIndexes([
        { key: { tenantId: 1, createdAt: -1, _id: -1 } },
        { key: { tenantId: 1, name: 1 } },
        { key: { deletedAt: 1 }, partialFilterExpression: { deletedAt: { $type: 'date' } } },
        outboxIndex
      ])
    ])
  }

  /** Makes a chatbot with the versions before its current one. Undefined: there is one with its id already. `entry`: what is told of it. */
  async insert (chatbot: Chatbot, earlier: readonly ChatbotVersion[] = [], entry?: OutboxEntry): Promise<Chatbot | undefined> {
    const { id, specificationId, ...rest } = chatbot
    // Before the chatbot: whoever sees it sees all of them.
    if (earlier.length > 0) await this.versions.keep(chatbot, earlier)
    const document: ChatbotDocument = {
      _id: parseId(id)!,
      ...rest,
      specificationId: specificationId === null ? null : parseId(specificationId)!,
      deletedAt: null,
      ...withEntry(entry)
    }
    return await insertNew(this.#collection, document) ? chatbot : undefined
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

  /** All of a tenant, in the order of their making. */
  async ids (tenantId: string): Promise<string[]> {
    const found = await this.#collection
      .find({ tenantId, deletedAt: null })
      .project<{ _id: ObjectId }>({ _id: 1 })
      .sort({ _id: 1 })
      .toArray()
    return found.map(({ _id }) => _id.toHexString())
  }

  /** Some of those of a tenant that bear a name. */
  async named (tenantId: string, name: string, limit: number): Promise<string[]> {
    const found = await this.#collection
      .find({ tenantId, name, deletedAt: null })
      .project<{ _id: ObjectId }>({ _id: 1 })
      .limit(limit)
      .toArray()
    return found.map(({ _id }) => _id.toHexString())
  }

  /** The newest of a tenant, in short. */
  async briefs (tenantId: string, limit: number): Promise<ChatbotBrief[]> {
    const found = await this.#collection
      .find({ tenantId, deletedAt: null })
      .project<Pick<ChatbotDocument, '_id' | 'name' | 'createdAt'>>({ name: 1, createdAt: 1 })
      .sort({ createdAt: -1, _id: -1 })
      .limit(limit)
      .toArray()
    return found.map(({ _id, name, createdAt }) => ({ id: _id.toHexString(), name, createdAt }))
  }

  async page (tenantId: string, request: PageRequest): Promise<PageOf<Chatbot>> {
    const { data, nextCursor } = await findPage(this.#collection, { tenantId, deletedAt: null }, 'createdAt', request)
    return { data: data.map(toChatbot), nextCursor }
  }

  /** Makes the next version of a chatbot. Undefined: `current` is not its current version any more, or it is deleted. */
  async change (current: Chatbot, { settings, note }: ChatbotChange, now: Date, entry?: OutboxEntry): Promise<Chatbot | undefined> {
    const { id, tenantId, version } = current
    const { set, push } = addEntry(entry)
    // First, so that every version before the current one is kept at any time. After a crash the next change does it again.
    await this.versions.keep(current, [currentVersion(current)])
    const document = await this.#collection.findOneAndUpdate(
      { _id: parseId(id)!, tenantId, version, deletedAt: null },
      { $set: { ...settings, note, version: version + 1, updatedAt: now, ...set } satisfies Partial<WithoutId<ChatbotDocument>>, ...push },
      { returnDocument: 'after' }
    )
    if (document) return toChatbot(document)
    // Deleted meanwhile, it may have been purged before the version was kept.
    if (!(await this.living(tenantId, [id])).has(id)) await this.versions.purge(id)
    return undefined
  }

  /** Hides a chatbot from every reader. False: it is gone, or not `leaving` as it was. */
  async markDeleted (tenantId: string, id: string, leaving: string, now: Date, entry?: OutboxEntry): Promise<boolean> {
    const { set, push } = addEntry(entry)
    const { matchedCount } = await this.#collection.updateOne(
      { _id: parseId(id)!, tenantId, deletedAt: null, leaving }, { $set: { deletedAt: now, leaving: null, ...set }, ...push }
    )
    return matchedCount === 1
  }

  /** Chatbots that are marked as deleted and still there. */
  async deleted (limit: number): Promise<Array<Pick<Chatbot, 'id' | 'tenantId'>>> {
    const found = await this.#collection
      .find({ deletedAt: { $type: 'date' } })
      .project<Pick<ChatbotDocument, '_id' | 'tenantId'>>({ tenantId: 1 })
      .limit(limit)
      .toArray()
    return found.map(({ _id, tenantId }) => ({ id: _id.toHexString(), tenantId }))
  }

  /** Removes a chatbot that is marked as deleted, its versions first; not yet, where that is still to be told. */
  async purge (id: string): Promise<void> {
    await this.versions.purge(id)
    await this.#collection.deleteOne({ _id: parseId(id)!, deletedAt: { $type: 'date' }, outboxSince: null })
  }
}
