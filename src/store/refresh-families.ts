import { type Collection, type Db, type ObjectId } from 'mongodb'
import { parseId } from './ids.ts'

/** What one sign-in has become: each refresh puts another token in the place of the last one. */
export interface RefreshFamily {
  readonly id: string
  readonly tenantId: string
  readonly userId: string
  /** SHA-256 of the part that all tokens of the family share. */
  readonly secretHash: string
  /** SHA-256 of the part that only its newest token has. */
  readonly tokenHash: string
  readonly createdAt: Date
  /** Moves on with each refresh, up to `endsAt`. */
  readonly expiresAt: Date
  readonly endsAt: Date
}

interface FamilyDocument extends Omit<RefreshFamily, 'id'> {
  _id: ObjectId
}

/** The collection `refreshFamilies`. A family that is not there has ended, and with it all tokens that came of it. */
export class RefreshFamilyRepository {
  readonly #collection: Collection<FamilyDocument>

  constructor (db: Db) {
    this.#collection = db.collection('refreshFamilies')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { userId: 1, createdAt: -1 } },
      { key: { expiresAt: 1 }, expireAfterSeconds: 0 }
    ])
  }

  async insert ({ id, ...family }: RefreshFamily): Promise<void> {
    await this.#collection.insertOne({ _id: parseId(id)!, ...family })
  }

  async find (id: string, now: Date): Promise<RefreshFamily | undefined> {
    const _id = parseId(id)
    const document = _id && await this.#collection.findOne({ _id, expiresAt: { $gt: now } })
    if (!document) return undefined
    const { _id: _, ...rest } = document
    return { id, ...rest }
  }

  /** Whether the tokens of this sign-in are good. */
  async isFamilyAlive (familyId: string): Promise<boolean> {
    return await this.find(familyId, new Date()) !== undefined
  }

  /** Puts another token in the place of the newest one. False: that is not `tokenHash` any more, or the family has ended. */
  async rotate ({ id, tokenHash }: RefreshFamily, next: Pick<RefreshFamily, 'tokenHash' | 'expiresAt'>): Promise<boolean> {
    const { matchedCount } = await this.#collection.updateOne({ _id: parseId(id)!, tokenHash }, { $set: next })
    return matchedCount === 1
  }

  async end (id: string): Promise<void> {
    await this.#collection.deleteOne({ _id: parseId(id)! })
  }

  /** Ends all sign-ins of a person, or all but one. */
  async endAll (userId: string, except?: string): Promise<void> {
    await this.#collection.deleteMany({ userId, ...(except !== undefined && { _id: { $ne: parseId(except)! } }) })
  }

  /** Ends the sign-ins of a person to one tenant. */
  async endIn (tenantId: string, userId: string): Promise<void> {
    await this.#collection.deleteMany({ tenantId, userId })
  }

  /** Ends the oldest sign-ins of a person where there are more than `most`. */
  async trim (userId: string, most: number): Promise<void> {
    const old = await this.#collection
      .find({ userId })
      .project<{ _id: ObjectId }>({ _id: 1 })
      .sort({ createdAt: -1 })
      .skip(most)
      .toArray()
    if (old.length > 0) await this.#collection.deleteMany({ _id: { $in: old.map(({ _id }) => _id) } })
  }
}
