import { type Invitation as InvitationView, type InvitationAcceptance } from '../../schemas/member.ts'
import { type Principal, type Role } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { newId } from '../store/ids.ts'
import { type Invitation } from '../store/invitations.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { type User } from '../store/users.ts'
import { normalizeEmail } from './email-address.ts'
import { type Logins } from './logins.ts'
import { expectMayGive } from './members.ts'
import { createUser } from './new-account.ts'
import { wrongToken, type AccountParts } from './parts.ts'
import { expectGoodPassword } from './password-rules.ts'
import { hashSecret, newSecret } from './secrets.ts'
import { type SignedIn } from './sign-ins.ts'
import { invitationView } from './views.ts'

const LIFETIME_MS = 7 * 24 * 3600_000
const MAX_OPEN = 500

const needed = (...names: string[]) => new ApiError('validation_failed', {
  detail: `This needs ${names.join(' and ')}.`, members: { errors: names.map((name) => ({ path: `/${name}`, message: 'is needed' })) }
})

/** Asking people into a tenant. */
export class Invitations {
  readonly #parts: AccountParts
  readonly #logins: Logins

  constructor (parts: AccountParts, logins: Logins) {
    this.#parts = parts
    this.#logins = logins
  }

  /** Sends an invitation in the place of those that the person has to this tenant. Throws `forbidden` and `conflict`. */
  async create (principal: Principal, input: { email: string, role: Role }, id = newId()): Promise<InvitationView> {
    const { store, letters } = this.#parts
    const { tenantId } = principal
    const email = normalizeEmail(input.email)
    const members = await store.tenants.members(tenantId)
    expectMayGive(principal, members, input.role)
    const user = await store.users.findByEmail(email)
    if (members.some(({ userId }) => userId === user?.id)) {
      throw new ApiError('conflict', { detail: 'The owner of this e-mail address is a member already.' })
    }
    if (await store.invitations.count(tenantId) >= MAX_OPEN) {
      throw new ApiError('conflict', { detail: `There are ${MAX_OPEN} invitations already.` })
    }
    const createdAt = new Date()
    const token = newSecret()
    const invitation = { id, tenantId, email, role: input.role, createdAt, expiresAt: new Date(createdAt.getTime() + LIFETIME_MS) }
    // A repeat of the same request is given what that has made.
    if (!await store.invitations.insert(invitation, hashSecret(token))) return await this.get(principal, id)
    await store.invitations.removeOthers(invitation)
    letters.invitation(invitation, token, (await store.tenants.find(tenantId))?.name ?? tenantId)
    return invitationView(invitation)
  }

  async get ({ tenantId }: Principal, id: string): Promise<InvitationView> {
    const invitation = await this.#parts.store.invitations.find(tenantId, id)
    if (!invitation) throw new ApiError('not_found', { detail: 'There is no such resource.' })
    return invitationView(invitation)
  }

  async list ({ tenantId }: Principal, request: PageRequest): Promise<PageOf<InvitationView>> {
    const { data, nextCursor } = await this.#parts.store.invitations.page(tenantId, request)
    return { data: data.map(invitationView), nextCursor }
  }

  async withdraw ({ tenantId }: Principal, id: string): Promise<void> {
    if (!await this.#parts.store.invitations.remove(tenantId, id)) {
      throw new ApiError('not_found', { detail: 'There is no such resource.' })
    }
  }

  /** Who shows the token reads the mail of its address. Throws `validation_failed`, `unauthenticated`, `forbidden`, `conflict`. */
  async accept ({ token, name, password }: InvitationAcceptance, ip: string): Promise<SignedIn> {
    const { store, passwords, limits, signIns } = this.#parts
    const invitation = await this.find(token)
    const { email } = invitation
    if (await store.users.findByEmail(email)) {
      if (password === undefined) throw needed('password')
      const user = await this.#logins.authenticate({ email, password }, ip)
      return await signIns.begin(await this.join(invitation, user), invitation.tenantId)
    }
    this.expectNewAccounts()
    if (name === undefined || password === undefined) throw needed('name', 'password')
    await limits.hit('registration-ip', ip)
    expectGoodPassword(password, { email, name })
    const passwordHash = await passwords.hash(password)
    const user = await this.join(invitation, async () =>
      await createUser(store, { email, name, passwordHash, emailVerifiedAt: new Date() }))
    return await signIns.begin(user, invitation.tenantId)
  }

  /** Throws `validation_failed`. */
  async find (token: string): Promise<Invitation> {
    const invitation = await this.#parts.store.invitations.findByToken(hashSecret(token), new Date())
    if (!invitation) throw wrongToken()
    return invitation
  }

  /** Throws `forbidden` where not even who is invited may make an account. */
  expectNewAccounts (): void {
    if (this.#parts.registration === 'closed') throw new ApiError('forbidden', { detail: 'No new accounts are made here.' })
  }

  /** Uses an invitation up, and makes its person a member. Throws `validation_failed` and `conflict`. */
  async join (invitation: Invitation, person: User | (() => Promise<User>)): Promise<User> {
    const { store } = this.#parts
    const { tenantId, role, email } = invitation
    if (!await store.invitations.take(invitation)) throw wrongToken()
    const user = typeof person === 'function' ? await person() : person
    const joinedAt = new Date()
    if (!await store.tenants.join(tenantId, { userId: user.id, role, joinedAt })) {
      throw new ApiError('conflict', { detail: 'The tenant has no room for more members.' })
    }
    return await store.users.verifyEmail(user.id, email, joinedAt) ?? user
  }
}
