import { IdentityLogins, type ExternalIdentity, type IdentityLoginContext } from './identity-logins.ts'
import { Invitations } from './invitations.ts'
import { Logins } from './logins.ts'
import { Members } from './members.ts'
import { type AccountParts } from './parts.ts'
import { Profiles } from './profiles.ts'
import { Recovery } from './recovery.ts'
import { Registration } from './registration.ts'
import { type SignedIn, type SignIns } from './sign-ins.ts'

/** All about accounts, by what people do with them. */
export class Accounts {
  readonly registration: Registration
  readonly logins: Logins
  readonly signIns: SignIns
  readonly profiles: Profiles
  readonly recovery: Recovery
  readonly members: Members
  readonly invitations: Invitations
  readonly #identityLogins: IdentityLogins

  constructor (parts: AccountParts) {
    this.registration = new Registration(parts)
    this.logins = new Logins(parts)
    this.signIns = parts.signIns
    this.profiles = new Profiles(parts)
    this.recovery = new Recovery(parts, this.profiles)
    this.members = new Members(parts)
    this.invitations = new Invitations(parts, this.logins)
    this.#identityLogins = new IdentityLogins(parts, this.invitations)
  }

  /** Signs somebody in whom a provider of identities has told us of. */
  async signInWith (identity: ExternalIdentity, context: IdentityLoginContext): Promise<SignedIn> {
    return await this.#identityLogins.signIn(identity, context)
  }
}
