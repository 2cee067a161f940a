import { type Registered, type RegistrationInput } from '../../schemas/account.ts'
import { type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { normalizeEmail } from './email-address.ts'
import { addressTaken, createOwner } from './new-account.ts'
import { wrongToken, type AccountParts } from './parts.ts'
import { expectGoodPassword } from './password-rules.ts'
import { hashSecret } from './secrets.ts'
import { registeredView } from './views.ts'

/** Making accounts, and finding out whether their addresses are right. */
export class Registration {
  readonly #parts: AccountParts

  constructor (parts: AccountParts) {
    this.#parts = parts
  }

  /** Makes an account and a tenant that it owns. Throws `forbidden`, `rate_limited`, `conflict` and `validation_failed`. */
  async register (input: RegistrationInput, ip: string): Promise<Registered> {
    const { store, passwords, letters, limits, registration } = this.#parts
    if (registration !== 'open') throw new ApiError('forbidden', { detail: 'Registration is not open to everybody.' })
    await limits.hit('registration-ip', ip)
    const { password, name, tenantName } = input
    const email = normalizeEmail(input.email)
    expectGoodPassword(password, { email, name })
    if (await store.users.findByEmail(email)) throw addressTaken()
    const { user, tenant } = await createOwner(store, { email, name, passwordHash: await passwords.hash(password) }, tenantName)
    letters.verification(user, email)
    return registeredView(user, tenant)
  }

  /** Notes that an address is right, makes it that of the account if it was to become that, and answers whose. Throws `validation_failed`. */
  async verifyEmail (token: string): Promise<string> {
    const { store } = this.#parts
    const now = new Date()
    const taken = await store.oneTimeTokens.take(hashSecret(token), 'verify-email', now)
    if (!taken || !await store.users.verifyEmail(taken.userId, taken.email, now)) throw wrongToken()
    return taken.userId
  }

  /** Sends the mail once more to an address that is not verified. Throws `rate_limited`. */
  async resend ({ account }: Principal, ip: string): Promise<void> {
    const { store, letters, limits } = this.#parts
    const user = await store.users.find(account!.id)
    const email = user?.pendingEmail ?? (user?.emailVerifiedAt ? undefined : user?.email)
    if (!user || email === undefined) return
    await limits.hit('reset-ip', ip)
    await limits.hit('reset-account', email)
    letters.verification(user, email)
  }
}
