import { type Member as MemberView } from '../../schemas/member.ts'
import { type Principal, type Role } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type PageOf, type PageRequest, wrongCursor } from '../store/page.ts'
import { type Member } from '../store/tenants.ts'
import { type AccountParts } from './parts.ts'
import { memberView } from './views.ts'

/**
 * Owners are made and touched by owners only. Where there is none yet, as in a tenant that only keys are of, any admin may
 * make one. Throws `forbidden`.
 */
export function expectMayGive ({ account }: Principal, members: readonly Member[], ...given: Role[]): void {
  if (!given.includes('owner') || account?.role === 'owner' || !members.some(({ role }) => role === 'owner')) return
  throw new ApiError('forbidden', { detail: 'Only an owner may make somebody an owner, or change one.' })
}

const unknown = () => new ApiError('not_found', { detail: 'There is no such resource.' })

/** Who is in a tenant, and as what. */
export class Members {
  readonly #store: AccountParts['store']

  constructor ({ store }: Pick<AccountParts, 'store'>) {
    this.#store = store
  }

  /** In the order of their accounts. */
  async list ({ tenantId }: Principal, { limit, cursor }: PageRequest): Promise<PageOf<MemberView>> {
    const after = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString('latin1')
    if (cursor !== undefined && !/^[0-9a-f]{24}$/.test(after)) throw wrongCursor()
    const members = (await this.#store.tenants.members(tenantId))
      .filter(({ userId }) => userId > after)
      .sort((a, b) => a.userId < b.userId ? -1 : 1)
    const page = members.slice(0, limit)
    const last = members.length > limit ? page.at(-1) : undefined
    return { data: await this.#withAccounts(page), nextCursor: last ? Buffer.from(last.userId).toString('base64url') : null }
  }

  async get ({ tenantId }: Principal, id: string): Promise<MemberView> {
    const found = (await this.#store.tenants.members(tenantId)).filter(({ userId }) => userId === id)
    const [member] = await this.#withAccounts(found)
    if (!member) throw unknown()
    return member
  }

  /** Makes a member something else; they have to sign in anew. Throws `not_found`, `forbidden` and `conflict`. */
  async setRole (principal: Principal, id: string, role: Role): Promise<MemberView> {
    const member = await this.#touch(principal, id, role)
    if (member.role !== role) {
      if (!await this.#store.tenants.setRole(principal.tenantId, member, role)) throw unchanged()
      await this.#store.refreshFamilies.endIn(principal.tenantId, id)
    }
    return { ...await this.get(principal, id), role }
  }

  /** Takes a member out, and ends their sign-ins. Throws `not_found`, `forbidden` and `conflict`. */
  async remove (principal: Principal, id: string): Promise<void> {
    const member = await this.#touch(principal, id)
    if (!await this.#store.tenants.removeMember(principal.tenantId, member)) throw unchanged()
    await this.#store.refreshFamilies.endIn(principal.tenantId, id)
  }

  async #touch (principal: Principal, id: string, ...given: Role[]): Promise<Member> {
    const members = await this.#store.tenants.members(principal.tenantId)
    const member = members.find(({ userId }) => userId === id)
    if (!member) throw unknown()
    expectMayGive(principal, members, member.role, ...given)
    return member
  }

  async #withAccounts (members: readonly Member[]): Promise<MemberView[]> {
    const users = await this.#store.users.findMany(members.map(({ userId }) => userId))
    return members.flatMap((member) => {
      const user = users.get(member.userId)
      return user ? memberView(member, user) : []
    })
  }
}

const unchanged = () => new ApiError('conflict', {
  detail: 'A tenant keeps at least one owner; or the member has been changed meanwhile.'
})
