import { ApiError } from '../errors.ts'
import { type Invitation } from '../store/invitations.ts'
import { type User } from '../store/users.ts'
import { normalizeEmail } from './email-address.ts'
import { type Invitations } from './invitations.ts'
import { createOwner, createUser } from './new-account.ts'
import { changedMeanwhile, type AccountParts } from './parts.ts'
import { type SignedIn } from './sign-ins.ts'

/** Somebody, as a provider of identities tells who they are. */
export interface ExternalIdentity {
  readonly provider: string
  /** What the provider calls them, for good. */
  readonly subject: string
  readonly email: string
  /** Whether the provider says that they read mail to this address. */
  readonly emailVerified: boolean
  readonly name?: string
}

export interface IdentityLoginContext {
  readonly ip: string
  /** The tenant to sign in to; absent: the one they joined first. */
  readonly tenantId?: string
  /** The token of an invitation to accept. */
  readonly invitation?: string
}

/** Signing in by a provider of identities. */
export class IdentityLogins {
  readonly #parts: AccountParts
  readonly #invitations: Invitations

  constructor (parts: AccountParts, invitations: Invitations) {
    this.#parts = parts
    this.#invitations = invitations
  }

  /**
   * An identity that is known signs in to its account. One that is not is linked to the account with its address, or gets
   * a new one, and that only where the provider has verified the address. Throws `forbidden`, `conflict`, `rate_limited`
   * and, for a wrong invitation, `validation_failed`.
   */
  async signIn (external: ExternalIdentity, { ip, tenantId, invitation: token }: IdentityLoginContext): Promise<SignedIn> {
    const { store, signIns } = this.#parts
    const identity = { ...external, email: normalizeEmail(external.email) }
    const invitation = token === undefined ? undefined : await this.#invitations.find(token)
    if (invitation && (invitation.email !== identity.email || !identity.emailVerified)) {
      throw new ApiError('forbidden', { detail: 'The invitation is for another e-mail address.' })
    }
    const { provider, subject } = identity
    const known = await store.users.findByIdentity({ provider, subject }) ?? await this.#link(identity)
    const user = known ?? await this.#create(identity, ip, invitation)
    if (known && invitation) await this.#invitations.join(invitation, known)
    return await signIns.begin(user, invitation?.tenantId ?? tenantId)
  }

  async #link ({ provider, subject, email, emailVerified }: ExternalIdentity): Promise<User | undefined> {
    const { users, refreshFamilies, oneTimeTokens } = this.#parts.store
    if (!emailVerified) throw new ApiError('forbidden', { detail: 'The provider has not verified the e-mail address.' })
    const user = await users.findByEmail(email)
    if (!user) return undefined
    const identity = { provider, subject }
    if (user.emailVerifiedAt !== null) return await users.link(user, identity) ?? refuse()
    const taken = await users.takeOver(user, identity, new Date()) ?? refuse()
    await Promise.all([
      refreshFamilies.endAll(user.id), oneTimeTokens.drop(user.id, 'verify-email'), oneTimeTokens.drop(user.id, 'reset-password')
    ])
    return taken
  }

  async #create ({ provider, subject, email, name }: ExternalIdentity, ip: string, invitation?: Invitation): Promise<User> {
    const { store, limits, registration } = this.#parts
    const person = {
      email, name: name ?? email.slice(0, email.indexOf('@')), identities: [{ provider, subject }], emailVerifiedAt: new Date()
    }
    if (invitation) {
      this.#invitations.expectNewAccounts()
      return await this.#invitations.join(invitation, async () => await createUser(store, person))
    }
    if (registration !== 'open') throw new ApiError('forbidden', { detail: 'Registration is not open to everybody.' })
    await limits.hit('registration-ip', ip)
    return (await createOwner(store, person)).user
  }
}

function refuse (): never {
  throw changedMeanwhile()
}
