import { newId } from '../store/ids.ts'
import { type User } from '../store/users.ts'
import { type Tenant } from '../store/tenants.ts'
import { ApiError } from '../errors.ts'
import { type AccountParts } from './parts.ts'

export type NewUser = Pick<User, 'email' | 'name'> & Partial<Pick<User, 'passwordHash' | 'identities' | 'emailVerifiedAt'>>

export const addressTaken = () => new ApiError('conflict', { detail: 'There is an account with this e-mail address already.' })

/** Makes an account that is in no tenant yet. Throws `conflict`. */
export async function createUser ({ users }: AccountParts['store'], person: NewUser, id = newId()): Promise<User> {
  const user: User = {
    passwordHash: null, identities: [], emailVerifiedAt: null, ...person, id, formerHashes: [], pendingEmail: null, createdAt: new Date()
  }
  if (!await users.insert(user)) throw addressTaken()
  return user
}

/** Makes an account and a tenant that it owns. Throws `conflict`. */
export async function createOwner (
  store: AccountParts['store'], person: NewUser, tenantName: string = person.name
): Promise<{ user: User, tenant: Tenant }> {
  const [id, now] = [newId(), new Date()]
  const tenant: Tenant = { id: newId(), name: tenantName, status: 'active', createdAt: now }
  // The tenant first: an account without one would be of no use, and its address taken for good.
  await store.tenants.insert(tenant, { userId: id, role: 'owner', joinedAt: now })
  try {
    return { user: await createUser(store, person, id), tenant }
  } catch (error) {
    await store.tenants.remove(tenant.id)
    throw error
  }
}
