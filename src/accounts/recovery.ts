import { normalizeEmail } from './email-address.ts'
import { wrongToken, type AccountParts } from './parts.ts'
import { type Profiles } from './profiles.ts'
import { hashSecret } from './secrets.ts'

/** Setting a password that was forgotten. */
export class Recovery {
  readonly #parts: AccountParts
  readonly #profiles: Profiles

  constructor (parts: AccountParts, profiles: Profiles) {
    this.#parts = parts
    this.#profiles = profiles
  }

  /** Sends a mail, if there is such an account. Whether there is, neither the answer tells nor its time. Throws `rate_limited`. */
  async request (email: string, ip: string): Promise<void> {
    const { store, letters, limits } = this.#parts
    const address = normalizeEmail(email)
    await limits.hit('reset-ip', ip)
    await limits.hit('reset-account', address)
    letters.passwordReset(async () => await store.users.findByEmail(address))
  }

  /** Sets another password, ends all sign-ins, and answers whose they were. Throws `validation_failed`; the token is only used up when it has done so. */
  async confirm (token: string, password: string): Promise<string> {
    const { store: { oneTimeTokens, users, refreshFamilies } } = this.#parts
    const now = new Date()
    const hash = hashSecret(token)
    const found = await oneTimeTokens.find(hash, 'reset-password', now)
    const user = found && await users.find(found.userId)
    if (!found || user?.email !== found.email) throw wrongToken()
    await this.#profiles.replacePassword(user, password, async () => {
      if (!await oneTimeTokens.take(hash, 'reset-password', now)) throw wrongToken()
    })
    await refreshFamilies.endAll(user.id)
    await users.verifyEmail(user.id, found.email, now)
    return user.id
  }
}
