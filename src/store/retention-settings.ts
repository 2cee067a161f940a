import { type Collection, type Db } from 'mongodb'

/** For how many days a tenant keeps what; null: for ever. */
export interface RetentionSettings {
  /** Since the last message. */
  readonly sessionsDays: number | null
  readonly messagesDays: number | null
  readonly deliveryLogsDays: number
}

export const defaultRetention: RetentionSettings = { sessionsDays: null, messagesDays: null, deliveryLogsDays: 30 }

/** The settings of a tenant that has some. */
export interface StoredRetention extends RetentionSettings {
  readonly tenantId: string
}

interface SettingsDocument extends StoredRetention {
  /** The tenant. */
  _id: string
  updatedAt: Date
}

const toStored = ({ _id, updatedAt: _, ...rest }: SettingsDocument): StoredRetention => rest

/** The collection `retentionSettings`: one document for each tenant that has set its own. */
export class RetentionSettingsRepository {
  readonly #collection: Collection<SettingsDocument>

  constructor (db: Db) {
    this.#collection = db.collection('retentionSettings')
  }

  async find (tenantId: string): Promise<StoredRetention> {
    const document = await this.#collection.findOne({ _id: tenantId })
    return document ? toStored(document) : { tenantId, ...defaultRetention }
  }

  /** Some of the tenants that have settings, behind `tenantId`, in order. */
  async after (tenantId: string, limit: number): Promise<StoredRetention[]> {
    return (await this.#collection.find({ _id: { $gt: tenantId } }).sort({ _id: 1 }).limit(limit).toArray()).map(toStored)
  }

  async set (settings: StoredRetention): Promise<void> {
    await this.#collection.updateOne(
      { _id: settings.tenantId }, { $set: settings, $currentDate: { updatedAt: true } }, { upsert: true }
    )
  }
}
