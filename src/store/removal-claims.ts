import { type Collection, type Db, type ObjectId } from 'mongodb'
import { type ChatbotDocument } from './chatbots.ts'
import { parseId } from './ids.ts'
import { present, type SessionDocument } from './sessions.ts'

/** What is about to be removed: it may be as long as `leaving` is what it says. */
export interface Claim {
  readonly tenantId: string
  readonly ids: readonly string[]
  readonly leaving: string
}

const ofTenant = { key: { tenantId: 1, leaving: 1 }, partialFilterExpression: { leaving: { $type: 'string' } } } as const
const shared = (leaving: string) => [{ $set: { leaving: { $ifNull: ['$leaving', leaving] } } }]
const objectIds = (ids: readonly string[]): ObjectId[] => ids.map((id) => parseId(id)!)

/** Marks on sessions and chatbots that somebody is about to remove. */
export class RemovalClaimRepository {
  readonly #sessions: Collection<SessionDocument>
  readonly #chatbots: Collection<ChatbotDocument>

  constructor (db: Db) {
    this.#sessions = db.collection('sessions')
    this.#chatbots = db.collection('configs')
  }

  async createIndexes (): Promise<void> {
    await Promise.all([this.#sessions, this.#chatbots].map(async (collection) => await collection.createIndexes([ofTenant])))
  }

  /** Claims a session; where somebody has it already, the claim is shared. */
  async claimSession (tenantId: string, id: string, leaving: string): Promise<string> {
    const found = await this.#sessions.findOneAndUpdate({ _id: parseId(id)!, tenantId, status: present }, shared(leaving), { returnDocument: 'after', projection: { leaving: 1 } })
    return found?.leaving ?? leaving
  }

  /** The same for a chatbot. */
  async claimChatbot (tenantId: string, id: string, leaving: string): Promise<string> {
    const found = await this.#chatbots.findOneAndUpdate({ _id: parseId(id)!, tenantId, deletedAt: null }, shared(leaving), { returnDocument: 'after', projection: { leaving: 1 } })
    return found?.leaving ?? leaving
  }

  /** Claims many sessions. Who has claimed one of them has to begin anew. */
  async claimSessions ({ tenantId, ids, leaving }: Claim): Promise<void> {
    await this.#sessions.updateMany({ _id: { $in: objectIds(ids) }, tenantId, status: present }, { $set: { leaving } })
  }

  async withdrawSessions ({ tenantId, ids, leaving }: Claim): Promise<void> {
    await this.#sessions.updateMany({ _id: { $in: objectIds(ids) }, tenantId, leaving }, { $unset: { leaving: '' } })
  }

  async withdrawChatbot (tenantId: string, id: string, leaving: string): Promise<void> {
    await this.#chatbots.updateOne({ _id: parseId(id)!, tenantId, leaving }, { $unset: { leaving: '' } })
  }

  /** Takes away all claims in a tenant: whoever has one has to look again whether they may remove anything. */
  async contest (tenantId: string): Promise<void> {
    const claimed = { tenantId, leaving: { $type: 'string' as const } }
    await Promise.all([
      this.#sessions.updateMany(claimed, { $unset: { leaving: '' } }),
      this.#chatbots.updateMany(claimed, { $unset: { leaving: '' } })
    ])
  }
}
