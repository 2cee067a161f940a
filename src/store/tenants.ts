import { type Collection, type Db, type Filter } from 'mongodb'
import { type Role } from '../auth/principal.ts'
import { insertNew } from './insert-new.ts'
import { type PageOf, type PageRequest, wrongCursor } from './page.ts'

// A tenant is one document: what must hold over all its members is judged and changed by one write.
const MAX_MEMBERS = 1000
const MAX_TENANTS_OF_ONE = 100

/** What somebody is in a tenant. */
export interface Member {
  readonly userId: string
  readonly role: Role
  readonly joinedAt: Date
}

export type TenantStatus = 'active' | 'suspended'

export interface Tenant {
  readonly id: string
  readonly name: string
  readonly status: TenantStatus
  readonly createdAt: Date
}

/** A tenant and what somebody is in it. */
export interface Membership {
  readonly tenant: Tenant
  readonly role: Role
  readonly joinedAt: Date
}

interface TenantDocument extends Omit<Tenant, 'id'> {
  _id: string
  members: Member[]
}

const withoutMembers = { projection: { members: 0 } } as const

/** The collection `tenants`. A tenant that only credentials name needs no document. */
export class TenantRepository {
  readonly #collection: Collection<TenantDocument>

  constructor (db: Db) {
    this.#collection = db.collection('tenants')
  }

  async createIndexes (): Promise<void> {
    await this.#collection.createIndexes([{ key: { 'members.userId': 1 } }])
  }

  async insert ({ id, ...tenant }: Tenant, owner: Member): Promise<boolean> {
    return await insertNew(this.#collection, { _id: id, ...tenant, members: [owner] })
  }

  async remove (id: string): Promise<void> {
    await this.#collection.deleteOne({ _id: id })
  }

  async find (id: string): Promise<Tenant | undefined> {
    const document = await this.#collection.findOne({ _id: id }, withoutMembers)
    return document ? toTenant(document) : undefined
  }

  async change (id: string, changed: Partial<Pick<Tenant, 'name' | 'status'>>): Promise<Tenant | undefined> {
    const document = await this.#collection
      .findOneAndUpdate({ _id: id }, { $set: changed }, { ...withoutMembers, returnDocument: 'after' })
    return document ? toTenant(document) : undefined
  }

  /** The newest first, roughly: ids sort by the time of their making. */
  async page ({ limit, cursor }: PageRequest): Promise<PageOf<Tenant>> {
    const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url').toString('latin1')
    if (after !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(after)) throw wrongCursor()
    const found = await this.#collection
      .find(after === undefined ? {} : { _id: { $lt: after } }, withoutMembers)
      .sort({ _id: -1 })
      .limit(limit + 1)
      .toArray()
    const data = found.slice(0, limit).map(toTenant)
    return { data, nextCursor: found.length > limit ? Buffer.from(data.at(-1)!.id).toString('base64url') : null }
  }

  /** Where somebody is a member, the oldest membership first. */
  async membershipsOf (userId: string): Promise<Membership[]> {
    const found = await this.#collection
      .find({ 'members.userId': userId }, { projection: { name: 1, status: 1, createdAt: 1, members: { $elemMatch: { userId } } } })
      .limit(MAX_TENANTS_OF_ONE)
      .toArray()
    return found
      .map((document) => ({ tenant: toTenant(document), ...document.members[0]! }))
      .map(({ tenant, role, joinedAt }) => ({ tenant, role, joinedAt }))
      .sort((a, b) => a.joinedAt.getTime() - b.joinedAt.getTime())
  }

  async members (tenantId: string): Promise<Member[]> {
    return (await this.#collection.findOne({ _id: tenantId }))?.members ?? []
  }

  /** Makes somebody a member who is none yet. False: there is no room for more. */
  async join (tenantId: string, member: Member): Promise<boolean> {
    // A tenant that only credentials named so far gets its document now.
    await insertNew(this.#collection, { _id: tenantId, name: tenantId, status: 'active', createdAt: member.joinedAt, members: [] })
    const { matchedCount } = await this.#collection.updateOne(
      { _id: tenantId, 'members.userId': { $ne: member.userId }, [`members.${MAX_MEMBERS - 1}`]: { $exists: false } },
      { $push: { members: member } }
    )
    return matchedCount === 1 || (await this.members(tenantId)).some(({ userId }) => userId === member.userId)
  }

  /** Changes what a member is. False: they are not what they were, or the tenant would be left without an owner. */
  async setRole (tenantId: string, member: Member, role: Role): Promise<boolean> {
    const { matchedCount } = await this.#collection.updateOne(
      still(tenantId, member), { $set: { 'members.$[member].role': role } }, { arrayFilters: [{ 'member.userId': member.userId }] }
    )
    return matchedCount === 1
  }

  /** Takes a member out. False: as for `setRole`. */
  async removeMember (tenantId: string, member: Member): Promise<boolean> {
    const { matchedCount } = await this.#collection.updateOne(
      still(tenantId, member), { $pull: { members: { userId: member.userId } } }
    )
    return matchedCount === 1
  }
}

/** The tenant, if a member is in it as they were read and is not the last owner. */
function still (tenantId: string, { userId, role }: Member): Filter<TenantDocument> {
  const asRead: Filter<TenantDocument> = { members: { $elemMatch: { userId, role } } }
  const anotherOwner: Filter<TenantDocument> = { members: { $elemMatch: { userId: { $ne: userId }, role: 'owner' } } }
  return { _id: tenantId, $and: role === 'owner' ? [asRead, anotherOwner] : [asRead] }
}

function toTenant ({ _id, name, status, createdAt }: TenantDocument): Tenant {
  return { id: _id, name, status, createdAt }
}
