import { type Collection, type Db, type Filter, MongoServerError, type ObjectId, type UpdateFilter } from 'mongodb'
import { parseId } from './ids.ts'
import { insertNew } from './insert-new.ts'

/** What an account is called at a provider of identities. */
export interface Identity {
  readonly provider: string
  readonly subject: string
}

/** A person with an account. What they are in which tenant is kept by the tenants. */
export interface User {
  readonly id: string
  /** In lower case. */
  readonly email: string
  readonly name: string
  /** Null: the account has none, and is signed in to by a provider. */
  readonly passwordHash: string | null
  /** Passwords before the current one, the newest first. */
  readonly formerHashes: readonly string[]
  readonly identities: readonly Identity[]
  readonly emailVerifiedAt: Date | null
  /** What `email` becomes once it is verified. */
  readonly pendingEmail: string | null
  readonly createdAt: Date
}

interface UserDocument extends Omit<User, 'id'> {
  _id: ObjectId
}

/** The collection `users`. */
export class UserRepository {
  readonly #collection: Collection<UserDocument>

  constructor (db: Db) {
    this.#collection = db.collection('users')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { email: 1 }, unique: true },
      {
        key: { 'identities.subject': 1, 'identities.provider': 1 },
        unique: true,
        partialFilterExpression: { 'identities.subject': { $exists: true } }
      }
    ])
  }

  /** False: somebody has this e-mail address or one of these identities already. */
  async insert ({ id, ...user }: User): Promise<boolean> {
    return await insertNew(this.#collection, { _id: parseId(id)!, ...user })
  }

  async find (id: string): Promise<User | undefined> {
    const _id = parseId(id)
    return _id && await this.#findOne({ _id })
  }

  async findByEmail (email: string): Promise<User | undefined> {
    return await this.#findOne({ email })
  }

  async findByIdentity (identity: Identity): Promise<User | undefined> {
    return await this.#findOne({ identities: { $elemMatch: identity } })
  }

  async findMany (ids: readonly string[]): Promise<Map<string, User>> {
    const found = await this.#collection.find({ _id: { $in: ids.map((id) => parseId(id)!) } }).toArray()
    return new Map(found.map((document) => [document._id.toHexString(), toUser(document)]))
  }

  async rename (id: string, name: string): Promise<User | undefined> {
    return await this.#change({ _id: parseId(id)! }, { $set: { name } })
  }

  async setPendingEmail (id: string, pendingEmail: string): Promise<User | undefined> {
    return await this.#change({ _id: parseId(id)! }, { $set: { pendingEmail } })
  }

  /** Sets another password. Undefined: the account has not the one any more that it was read with. */
  async setPassword (
    { id, passwordHash }: User, changed: Pick<User, 'passwordHash' | 'formerHashes'>
  ): Promise<User | undefined> {
    return await this.#change({ _id: parseId(id)!, passwordHash }, { $set: changed })
  }

  /**
   * Notes that somebody reads mail to `email`, which is theirs, or becomes theirs where they asked for that. Undefined: it
   * is neither, or it has become somebody else's.
   */
  async verifyEmail (id: string, email: string, now: Date): Promise<User | undefined> {
    const _id = parseId(id)!
    return await this.#change({ _id, email }, { $set: { emailVerifiedAt: now } }) ??
      await this.#change({ _id, pendingEmail: email }, { $set: { email, emailVerifiedAt: now, pendingEmail: null } })
  }

  /** Links an identity to an account whose e-mail address it has verified. Undefined: that is not its address any more. */
  async link ({ id, email, emailVerifiedAt }: User, identity: Identity): Promise<User | undefined> {
    return await this.#change({ _id: parseId(id)!, email, emailVerifiedAt }, { $addToSet: { identities: identity } })
  }

  /**
   * Gives an account whose address was never verified to whoever has verified it: what was there to sign in with is
   * somebody else's, perhaps. Undefined: it has been verified meanwhile.
   */
  async takeOver ({ id, email }: User, identity: Identity, now: Date): Promise<User | undefined> {
    return await this.#change({ _id: parseId(id)!, email, emailVerifiedAt: null }, {
      $set: { emailVerifiedAt: now, identities: [identity], passwordHash: null, formerHashes: [], pendingEmail: null }
    })
  }

  async #findOne (filter: Filter<UserDocument>): Promise<User | undefined> {
    const document = await this.#collection.findOne(filter)
    return document ? toUser(document) : undefined
  }

  /** Undefined: there is no such user, or what they would become is taken. */
  async #change (filter: Filter<UserDocument>, update: UpdateFilter<UserDocument>): Promise<User | undefined> {
    try {
      const document = await this.#collection.findOneAndUpdate(filter, update, { returnDocument: 'after' })
      return document ? toUser(document) : undefined
    } catch (error) {
      if (error instanceof MongoServerError && error.code === 11000) return undefined
      throw error
    }
  }
}

function toUser ({ _id, ...rest }: UserDocument): User {
  return { id: _id.toHexString(), ...rest }
}
