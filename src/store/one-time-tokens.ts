import { type Collection, type Db } from 'mongodb'

/** What a token is good for. */
export type TokenPurpose = 'verify-email' | 'reset-password'

/** A token that was mailed to somebody. */
export interface OneTimeToken {
  /** SHA-256 of the token; the token itself is stored nowhere. */
  readonly hash: string
  readonly purpose: TokenPurpose
  readonly userId: string
  /** Where it was sent: whoever has it reads that mail. */
  readonly email: string
  readonly expiresAt: Date
}

interface TokenDocument extends Omit<OneTimeToken, 'hash'> {
  _id: string
}

/** The collection `oneTimeTokens`. Its documents go by being used, and by themselves. */
export class OneTimeTokenRepository {
  readonly #collection: Collection<TokenDocument>

  constructor (db: Db) {
    this.#collection = db.collection('oneTimeTokens')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { userId: 1, purpose: 1 } },
      { key: { expiresAt: 1 }, expireAfterSeconds: 0 }
    ])
  }

  /** Keeps a token in the place of those that the person has for the same purpose. */
  async replace ({ hash, ...token }: OneTimeToken): Promise<void> {
    await this.drop(token.userId, token.purpose)
    await this.#collection.insertOne({ _id: hash, ...token })
  }

  async find (hash: string, purpose: TokenPurpose, now: Date): Promise<OneTimeToken | undefined> {
    return toToken(await this.#collection.findOne({ _id: hash, purpose, expiresAt: { $gt: now } }))
  }

  /** Uses a token up. Undefined: there is none, or somebody else has used it. */
  async take (hash: string, purpose: TokenPurpose, now: Date): Promise<OneTimeToken | undefined> {
    return toToken(await this.#collection.findOneAndDelete({ _id: hash, purpose, expiresAt: { $gt: now } }))
  }

  async drop (userId: string, purpose: TokenPurpose): Promise<void> {
    await this.#collection.deleteMany({ userId, purpose })
  }
}

function toToken (document: TokenDocument | null): OneTimeToken | undefined {
  if (!document) return undefined
  const { _id, ...rest } = document
  return { hash: _id, ...rest }
}
