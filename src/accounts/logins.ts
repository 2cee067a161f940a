import { type LoginInput } from '../../schemas/account.ts'
import { ApiError } from '../errors.ts'
import { type User } from '../store/users.ts'
import { normalizeEmail } from './email-address.ts'
import { type AccountParts } from './parts.ts'
import { type SignedIn } from './sign-ins.ts'

/** Is told whose address was given, before it is known whether the password is right. */
type Known = (userId: string) => void

/** Signing in by a password, and out. */
export class Logins {
  readonly #parts: AccountParts

  constructor (parts: AccountParts) {
    this.#parts = parts
  }

  /** Throws `unauthenticated`, in the same words and after the same work whether there is such an account or not. */
  async login ({ email, password, tenantId }: LoginInput, ip: string, known?: Known): Promise<SignedIn> {
    return await this.#parts.signIns.begin(await this.authenticate({ email, password }, ip, known), tenantId)
  }

  /** Whose password this is. Throws `unauthenticated` and `rate_limited`. */
  async authenticate ({ email, password }: LoginInput, ip: string, known?: Known): Promise<User> {
    const { store, passwords, limits } = this.#parts
    const address = normalizeEmail(email)
    await limits.hit('login-ip', ip)
    await limits.hit('login-account', address)
    const user = await store.users.findByEmail(address)
    if (user) known?.(user.id)
    const isRight = await passwords.matches(password, user?.passwordHash ?? null)
    if (!user || !isRight) {
      throw new ApiError('unauthenticated', {
        detail: 'The e-mail address or the password is wrong.', headers: { 'www-authenticate': 'Bearer realm="parley"' }
      })
    }
    return await this.#upToDate(user, password)
  }

  /** Hashes a password anew whose hash is of another time. */
  async #upToDate (user: User, password: string): Promise<User> {
    const { store, passwords } = this.#parts
    if (!passwords.isOutdated(user.passwordHash!)) return user
    const passwordHash = await passwords.hash(password)
    return await store.users.setPassword(user, { passwordHash, formerHashes: user.formerHashes }) ?? user
  }
}
