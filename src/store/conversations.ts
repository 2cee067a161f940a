import { type Collection, type Db, type ObjectId } from 'mongodb'
import { type Person } from './erasures.ts'
import { parseId } from './ids.ts'
import { insertNew } from './insert-new.ts'

/** The session that goes on with a user of an external channel. */
export interface Conversation {
  /** Stands for the user, the channel and where they come from. */
  readonly key: string
  readonly tenantId: string
  readonly integrationId: string | null
  readonly configId: string
  /** The end user that the session belongs to. */
  readonly userId: string
  readonly sessionId: string
}

type References = 'integrationId' | 'configId' | 'sessionId'

interface ConversationDocument extends Omit<Conversation, 'key' | References> {
  _id: string
  integrationId: ObjectId | null
  configId: ObjectId
  sessionId: ObjectId
}

/** The collection `conversations`. */
export class ConversationRepository {
  readonly #collection: Collection<ConversationDocument>

  constructor (db: Db) {
    this.#collection = db.collection('conversations')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { tenantId: 1, userId: 1 } },
      { key: { sessionId: 1 } },
      { key: { configId: 1 } },
      { key: { integrationId: 1 } }
    ])
  }

  /** The session of a conversation. Undefined: there is none. */
  async sessionOf (key: string): Promise<string | undefined> {
    return (await this.#collection.findOne({ _id: key }))?.sessionId.toHexString()
  }

  /** Goes on with another session than `before`. False: somebody else has changed it. */
  async set ({ key, integrationId, configId, sessionId, ...rest }: Conversation, before: string | undefined): Promise<boolean> {
    const document: ConversationDocument = {
      _id: key,
      ...rest,
      integrationId: integrationId === null ? null : parseId(integrationId)!,
      configId: parseId(configId)!,
      sessionId: parseId(sessionId)!
    }
    if (before === undefined) return await insertNew(this.#collection, document)
    const { matchedCount } = await this.#collection.replaceOne({ _id: key, sessionId: parseId(before)! }, document)
    return matchedCount === 1
  }

  /** Forgets a conversation, unless it goes on with another session. */
  async remove (key: string, sessionId: string): Promise<void> {
    await this.#collection.deleteOne({ _id: key, sessionId: parseId(sessionId)! })
  }

  async erase ({ tenantId, userId }: Person): Promise<void> {
    await this.#collection.deleteMany({ tenantId, userId })
  }

  async removeOfSessions (sessionIds: readonly string[]): Promise<void> {
    await this.#collection.deleteMany({ sessionId: { $in: sessionIds.map((id) => parseId(id)!) } })
  }

  async removeOfConfig (configId: string): Promise<void> {
    await this.#collection.deleteMany({ configId: parseId(configId)! })
  }

  async removeOfIntegration (tenantId: string, integrationId: string): Promise<void> {
    await this.#collection.deleteMany({ tenantId, integrationId: parseId(integrationId)! })
  }
}
