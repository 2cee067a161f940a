import { type Collection, type Db } from 'mongodb'

const KEPT_SECONDS = 600

/** A login that was begun at a provider. It is nobody's yet, so it has no tenant; and nothing in it is a secret. */
export interface LoginFlow {
  /** Made of what the provider brings back. */
  readonly id: string
  /** Made of what the browser brings back. */
  readonly browser: string
  readonly provider: string
  /** Where the browser wants to be sent. Null: nowhere. */
  readonly returnTo: string | null
}

interface FlowDocument extends Omit<LoginFlow, 'id'> {
  _id: string
  begunAt: Date
}

// As numbers, because SecantusDB 0.7 finds no order between `$$NOW` and a stored date.
const isFresh = { $gt: [{ $toLong: '$begunAt' }, { $subtract: [{ $toLong: '$$NOW' }, KEPT_SECONDS * 1000] }] }

/** The collection `loginFlows`. Its documents go by themselves after ten minutes. */
export class LoginFlowRepository {
  readonly #collection: Collection<FlowDocument>

  constructor (db: Db) {
    this.#collection = db.collection('loginFlows')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { begunAt: 1 }, expireAfterSeconds: KEPT_SECONDS }])
  }

  async insert ({ id, browser, provider, returnTo }: LoginFlow): Promise<void> {
    // An upsert, because only a pipeline knows the store's time.
    await this.#collection.updateOne(
      { _id: id },
      [{ $set: { begunAt: '$$NOW', browser, provider, returnTo: { $literal: returnTo } } }],
      { upsert: true }
    )
  }

  /** Takes a flow, once, in the browser that it was begun in. Answers where that wants to go. */
  async take ({ id, browser, provider }: Omit<LoginFlow, 'returnTo'>): Promise<LoginFlow | undefined> {
    const taken = await this.#collection.findOneAndDelete({ _id: id, browser, provider, $expr: isFresh })
    return taken ? { id, browser, provider, returnTo: taken.returnTo } : undefined
  }
}
