import { type Collection, type Db } from 'mongodb'

/** What a quota bounds, within a day or a month of UTC. */
export const limitNames = ['tokensPerDay', 'tokensPerMonth', 'messagesPerDay', 'messagesPerMonth'] as const

export type LimitName = typeof limitNames[number]

/** 0: no limit. */
export type Limits = Readonly<Record<LimitName, number>>

/** The quotas of a tenant: all it may use, and what each of its end users and keys may. */
export interface QuotaSettings {
  readonly tenant: Limits
  readonly perUser: Limits
  readonly perKey: Limits
}

/** Those that are a tenant's own; the others are the deployment's. */
export type OwnQuotas = { readonly [Whose in keyof QuotaSettings]?: Partial<Limits> }

interface SettingsDocument extends OwnQuotas {
  /** The tenant. */
  _id: string
  tenantId: string
  updatedAt: Date
}

/** Settings of a tenant, and when they were set by the store's clock. */
export interface StoredQuotas extends OwnQuotas {
  readonly tenantId: string
  readonly updatedAt: Date
}

const toStored = ({ _id, ...rest }: SettingsDocument): StoredQuotas => rest

/** The collection `quotaSettings`: one document for each tenant that has quotas of its own. */
export class QuotaSettingsRepository {
  readonly #collection: Collection<SettingsDocument>

  constructor (db: Db) {
    this.#collection = db.collection('quotaSettings')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { updatedAt: 1 } }])
  }

  async find (tenantId: string): Promise<OwnQuotas | undefined> {
    const document = await this.#collection.findOne({ _id: tenantId })
    return document ? toStored(document) : undefined
  }

  /** Those that were set from some moment on. */
  async since (moment: Date): Promise<StoredQuotas[]> {
    return (await this.#collection.find({ updatedAt: { $gte: moment } }).toArray()).map(toStored)
  }

  async set (tenantId: string, settings: OwnQuotas): Promise<StoredQuotas> {
    const document = await this.#collection.findOneAndUpdate(
      { _id: tenantId },
      { $set: { tenantId, ...settings }, $currentDate: { updatedAt: true } },
      { upsert: true, returnDocument: 'after' }
    )
    return toStored(document!)
  }
}
