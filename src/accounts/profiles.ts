import { type AccountTenants, type Profile, type ProfileInput } from '../../schemas/account.ts'
import { type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type User } from '../store/users.ts'
import { normalizeEmail } from './email-address.ts'
import { addressTaken } from './new-account.ts'
import { changedMeanwhile, type AccountParts } from './parts.ts'
import { expectGoodPassword, usedBefore } from './password-rules.ts'
import { ownTenantView, profileView } from './views.ts'

// With the current one, five.
const MAX_FORMER = 4

/** What people see and change of their own accounts. */
export class Profiles {
  readonly #parts: AccountParts

  constructor (parts: AccountParts) {
    this.#parts = parts
  }

  async get (principal: Principal): Promise<Profile> {
    return await this.#profile(principal, await this.#user(principal))
  }

  /** Another address is only asked for here: it takes effect when it is verified. Throws `forbidden` and `conflict`. */
  async change (principal: Principal, { name, email, password }: ProfileInput, ip: string): Promise<Profile> {
    const { store, letters, limits } = this.#parts
    let user = await this.#user(principal)
    const address = email === undefined ? user.email : normalizeEmail(email)
    if (address !== user.email) {
      await this.#expectPassword(user, password ?? '')
      await limits.hit('reset-ip', ip)
      await limits.hit('reset-account', address)
      if (await store.users.findByEmail(address)) throw addressTaken()
      letters.emailChange(user)
      user = await store.users.setPendingEmail(user.id, address) ?? user
      letters.verification(user, address)
    }
    if (name !== undefined) user = await store.users.rename(user.id, name) ?? user
    return await this.#profile(principal, user)
  }

  /** Sets another password, and ends all other sign-ins. Throws `forbidden`, `validation_failed` and `conflict`. */
  async changePassword (principal: Principal, currentPassword: string, newPassword: string): Promise<void> {
    const { store } = this.#parts
    const user = await this.#user(principal)
    await this.#expectPassword(user, currentPassword)
    await this.replacePassword(user, newPassword)
    await store.refreshFamilies.endAll(user.id, principal.account!.familyId)
  }

  /** Throws `validation_failed` for a password that cannot be used, and `conflict`. `confirm` is asked last. */
  async replacePassword (user: User, password: string, confirm: () => Promise<void> = async () => {}): Promise<void> {
    const { store, passwords } = this.#parts
    expectGoodPassword(password, user)
    const known = [user.passwordHash ?? [], ...user.formerHashes].flat()
    if (await passwords.matchesAny(password, known)) throw usedBefore()
    const passwordHash = await passwords.hash(password)
    await confirm()
    const changed = await store.users.setPassword(user, { passwordHash, formerHashes: known.slice(0, MAX_FORMER) })
    if (!changed) throw changedMeanwhile()
    await store.oneTimeTokens.drop(user.id, 'reset-password')
  }

  /** Where somebody is a member. */
  async tenants ({ account }: Principal): Promise<AccountTenants> {
    return { data: (await this.#parts.store.tenants.membershipsOf(account!.id)).map(ownTenantView), nextCursor: null }
  }

  async #user ({ account }: Principal): Promise<User> {
    const user = await this.#parts.store.users.find(account!.id)
    if (!user) throw new ApiError('not_found', { detail: 'There is no such account.' })
    return user
  }

  async #profile (principal: Principal, user: User): Promise<Profile> {
    const memberships = await this.#parts.store.tenants.membershipsOf(user.id)
    const membership = memberships.find(({ tenant }) => tenant.id === principal.tenantId)
    if (!membership) throw new ApiError('not_found', { detail: 'There is no such account.' })
    return profileView(user, membership)
  }

  /** An access token alone, which may have been stolen, is not enough for everything. */
  async #expectPassword ({ email, passwordHash }: User, password: string): Promise<void> {
    const { limits, passwords } = this.#parts
    await limits.hit('login-account', email)
    if (!await passwords.matches(password, passwordHash)) throw new ApiError('forbidden', { detail: 'The current password is wrong.' })
  }
}
