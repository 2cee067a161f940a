import { scopesOf, type Role, type Scope } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { newId } from '../store/ids.ts'
import { type RefreshFamily } from '../store/refresh-families.ts'
import { type Store } from '../store/store.ts'
import { type Membership, type Tenant } from '../store/tenants.ts'
import { type User } from '../store/users.ts'
import { csrfTokenOf, newRefreshToken, readRefreshToken, writeRefreshToken, type RefreshToken } from './refresh-token.ts'
import { hashSecret, isSame } from './secrets.ts'

/** However often a sign-in is refreshed, it ends. */
const FAMILY_MS = 30 * 24 * 3600_000
const MAX_FAMILIES = 20

/** Somebody who has signed in, and what they go on with. */
export interface SignedIn {
  readonly token: string
  readonly expiresAt: Date
  readonly refreshToken: string
  readonly refreshExpiresAt: Date
  /** Goes with the refresh token where that is kept in a cookie. */
  readonly csrfToken: string
  readonly user: { readonly id: string, readonly email: string, readonly name: string, readonly role: Role }
  readonly tenant: Pick<Tenant, 'id' | 'name'>
}

/** What makes access tokens, and has them refused when their sign-in has ended. */
export interface AccessTokenIssuer {
  issue (grant: {
    tenantId: string
    subject: string
    scopes: readonly Scope[]
    account: { email: string, role: Role, familyId: string }
  }): Promise<{ token: string, expiresAt: Date }>
  forgetFamily (familyId: string): void
}

interface SignInsOptions {
  readonly store: Pick<Store, 'refreshFamilies' | 'tenants' | 'users'>
  readonly accessTokens: AccessTokenIssuer
  readonly refreshTokenMs: number
  /** Addresses whose owners look after the tenants themselves. */
  readonly platformAdmins: ReadonlySet<string>
}

const refused = () => new ApiError('unauthenticated', {
  detail: 'The refresh token is not valid.', headers: { 'www-authenticate': 'Bearer realm="parley", error="invalid_token"' }
})

/**
 * Sign-ins, each a family of refresh tokens in one document. Where a membership or an account is changed, that is written
 * before the families are ended; here the family is written before they are read. So nobody slips in between.
 */
export class SignIns {
  readonly #store: SignInsOptions['store']
  readonly #accessTokens: AccessTokenIssuer
  readonly #refreshTokenMs: number
  readonly #platformAdmins: ReadonlySet<string>

  constructor ({ store, accessTokens, refreshTokenMs, platformAdmins }: SignInsOptions) {
    this.#store = store
    this.#accessTokens = accessTokens
    this.#refreshTokenMs = refreshTokenMs
    this.#platformAdmins = platformAdmins
  }

  /** Signs somebody in to a tenant of theirs, the one they joined first if none is named. Throws `forbidden`. */
  async begin (user: User, tenantId?: string): Promise<SignedIn> {
    const membership = await this.#membership(user.id, tenantId)
    const now = new Date()
    const token = newRefreshToken(newId())
    const endsAt = new Date(now.getTime() + FAMILY_MS)
    const family: RefreshFamily = {
      id: token.familyId,
      tenantId: membership.tenant.id,
      userId: user.id,
      secretHash: hashSecret(token.familySecret),
      tokenHash: hashSecret(token.secret),
      createdAt: now,
      expiresAt: this.#expiry(now, endsAt),
      endsAt
    }
    await this.#store.refreshFamilies.insert(family)
    const signedIn = await this.#answer(family, token, ({ passwordHash }) => passwordHash === user.passwordHash)
    await this.#store.refreshFamilies.trim(user.id, MAX_FAMILIES)
    return signedIn
  }

  /** Takes a refresh token for the next one. Throws `unauthenticated`, and ends the sign-in where the token was used before. */
  async refresh (text: string): Promise<SignedIn> {
    const found = await this.#find(text)
    if (!found) throw refused()
    const { token, family } = found
    const now = new Date()
    const next = newRefreshToken(family.id, token.familySecret)
    const changed = { tokenHash: hashSecret(next.secret), expiresAt: this.#expiry(now, family.endsAt) }
    const isNewest = isSame(hashSecret(token.secret), family.tokenHash)
    // Whoever is refused for the tenant's sake keeps the token, and may come back with it.
    if (isNewest) await this.#membership(family.userId, family.tenantId)
    if (!isNewest || !await this.#store.refreshFamilies.rotate(family, changed)) {
      await this.#end(family.id)
      throw refused()
    }
    return await this.#answer({ ...family, ...changed }, next)
  }

  /** Ends a sign-in, and answers whose it was. A token that is none ends nothing. */
  async end (text: string): Promise<Pick<RefreshFamily, 'tenantId' | 'userId'> | undefined> {
    const found = await this.#find(text)
    if (found) await this.#end(found.family.id)
    return found?.family
  }

  async #end (familyId: string): Promise<void> {
    await this.#store.refreshFamilies.end(familyId)
    this.#accessTokens.forgetFamily(familyId)
  }

  async #find (text: string): Promise<{ token: RefreshToken, family: RefreshFamily } | undefined> {
    const token = readRefreshToken(text)
    const family = token && await this.#store.refreshFamilies.find(token.familyId, new Date())
    return family && isSame(hashSecret(token.familySecret), family.secretHash) ? { token, family } : undefined
  }

  async #membership (userId: string, tenantId?: string): Promise<Membership> {
    const memberships = await this.#store.tenants.membershipsOf(userId)
    const membership = tenantId === undefined
      ? memberships.find(({ tenant }) => tenant.status === 'active') ?? memberships[0]
      : memberships.find(({ tenant }) => tenant.id === tenantId)
    if (!membership) throw new ApiError('forbidden', { detail: 'This account is a member of no such tenant.' })
    if (membership.tenant.status !== 'active') throw new ApiError('forbidden', { detail: 'The tenant is suspended.' })
    return membership
  }

  async #answer (family: RefreshFamily, token: RefreshToken, isStill: (user: User) => boolean = () => true): Promise<SignedIn> {
    const user = await this.#store.users.find(family.userId)
    if (!user || !isStill(user)) {
      await this.#end(family.id)
      throw refused()
    }
    const { role, tenant } = await this.#membership(user.id, family.tenantId)
    const isPlatformAdmin = user.emailVerifiedAt !== null && this.#platformAdmins.has(user.email)
    const access = await this.#accessTokens.issue({
      tenantId: tenant.id,
      subject: user.id,
      scopes: [...scopesOf[role], ...(isPlatformAdmin ? ['platform' as const] : [])],
      account: { email: user.email, role, familyId: family.id }
    })
    return {
      ...access,
      refreshToken: writeRefreshToken(token),
      refreshExpiresAt: family.expiresAt,
      csrfToken: csrfTokenOf(token),
      user: { id: user.id, email: user.email, name: user.name, role },
      tenant: { id: tenant.id, name: tenant.name }
    }
  }

  #expiry (now: Date, endsAt: Date): Date {
    return new Date(Math.min(now.getTime() + this.#refreshTokenMs, endsAt.getTime()))
  }
}
