import { type Collection, type Db, type ObjectId } from 'mongodb'
import { type Role } from '../auth/principal.ts'
import { parseId } from './ids.ts'
import { insertNew } from './insert-new.ts'
import { findPage, type PageOf, type PageRequest } from './page.ts'

export interface Invitation {
  readonly id: string
  readonly tenantId: string
  readonly email: string
  readonly role: Role
  readonly createdAt: Date
  readonly expiresAt: Date
}

interface InvitationDocument extends Omit<Invitation, 'id'> {
  _id: ObjectId
  /** SHA-256 of the token that was mailed; the token itself is stored nowhere. */
  tokenHash: string
}

/** The collection `invitations`. Its documents go by being accepted, and by themselves. */
export class InvitationRepository {
  readonly #collection: Collection<InvitationDocument>

  constructor (db: Db) {
    this.#collection = db.collection('invitations')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([
      { key: { tokenHash: 1 }, unique: true },
      { key: { tenantId: 1, createdAt: -1, _id: -1 } },
      { key: { tenantId: 1, email: 1 } },
      { key: { expiresAt: 1 }, expireAfterSeconds: 0 }
    ])
  }

  /** False: there is one with its id already. */
  async insert ({ id, ...invitation }: Invitation, tokenHash: string): Promise<boolean> {
    return await insertNew(this.#collection, { _id: parseId(id)!, ...invitation, tokenHash })
  }

  async find (tenantId: string, id: string): Promise<Invitation | undefined> {
    const _id = parseId(id)
    return toInvitation(_id ? await this.#collection.findOne({ _id, tenantId }) : null)
  }

  async findByToken (tokenHash: string, now: Date): Promise<Invitation | undefined> {
    return toInvitation(await this.#collection.findOne({ tokenHash, expiresAt: { $gt: now } }))
  }

  /** Uses an invitation up. False: somebody else has, or it was withdrawn. */
  async take ({ id, tenantId }: Invitation): Promise<boolean> {
    return await this.remove(tenantId, id)
  }

  async remove (tenantId: string, id: string): Promise<boolean> {
    const _id = parseId(id)
    if (!_id) return false
    return (await this.#collection.deleteOne({ _id, tenantId })).deletedCount === 1
  }

  /** Withdraws the invitations of somebody to a tenant, but for one. */
  async removeOthers ({ tenantId, email, id }: Invitation): Promise<void> {
    await this.#collection.deleteMany({ tenantId, email, _id: { $ne: parseId(id)! } })
  }

  async count (tenantId: string): Promise<number> {
    return await this.#collection.countDocuments({ tenantId })
  }

  /** The newest first. */
  async page (tenantId: string, request: PageRequest): Promise<PageOf<Invitation>> {
    const { data, nextCursor } = await findPage(this.#collection, { tenantId }, 'createdAt', request)
    return { data: data.map((document) => toInvitation(document)!), nextCursor }
  }
}

function toInvitation (document: InvitationDocument | null): Invitation | undefined {
  if (!document) return undefined
  const { _id, tokenHash: _, ...rest } = document
  return { id: _id.toHexString(), ...rest }
}
