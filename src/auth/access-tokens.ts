import { randomBytes } from 'node:crypto'
import { growingCache } from '../growing-cache.ts'
import { ApiError } from '../errors.ts'
import { accessClaims, principalOf } from './jwt-claims.ts'
import { headerOf } from './jwt-header.ts'
import { type Algorithm, type PublicJwk, type SigningKey, type VerificationKey } from './jwt-keys.ts'
import { type Principal, type Role, type Scope } from './principal.ts'
import { Recall } from './recall.ts'

/** What a token is to say. */
export interface AccessGrant {
  readonly tenantId: string
  readonly subject: string
  readonly scopes: readonly Scope[]
  /** A person who has signed in; the token dies with the sign-in. */
  readonly account?: { readonly email: string, readonly role: Role, readonly familyId: string }
  /** The API key that the token is made with; it dies with the key. */
  readonly keyId?: string
  readonly visitor?: { readonly configId: string, readonly origin?: string }
}

/** The library behind it. */
export interface JwtLibrary {
  sign (claims: object, key: SigningKey): string
  /** Checks the signature by this key and its algorithm, issuer, audience and times. Throws where something does not fit. */
  verify (token: string, key: VerificationKey): unknown
}

export interface AccessTokenOptions {
  readonly jwt: JwtLibrary
  /** The first one signs. */
  readonly keys: readonly SigningKey[]
  readonly published: readonly PublicJwk[]
  /** Keys of an issuer elsewhere. */
  readonly remoteKey?: (alg: Algorithm, kid: string | undefined) => Promise<VerificationKey | undefined>
  readonly issuer?: string | undefined
  readonly audience?: string | undefined
  readonly ttlMs: number
  readonly isFamilyAlive: (familyId: string) => Promise<boolean>
  /** The key with this id, while it may be used. */
  readonly livingKey: (keyId: string) => Promise<Principal | undefined>
}

/** How far the clocks of issuers may be off. */
export const LEEWAY_MS = 60_000

// What was checked is checked again after this long, so that a key that is withdrawn stops counting.
const CHECKED_FOR_MS = 5000
const MAX_CHECKED = 10_000

interface Checked {
  readonly principal: Principal
  readonly endsAt: number
}

/** Issues access tokens, and says who speaks by one. */
export class AccessTokens {
  readonly canIssue: boolean
  /** What others can check these tokens with. */
  readonly published: readonly PublicJwk[]
  readonly #options: AccessTokenOptions
  readonly #checked = growingCache<Checked>(MAX_CHECKED, { ttl: CHECKED_FOR_MS })
  readonly #families: Recall<boolean>

  constructor (options: AccessTokenOptions) {
    this.#options = options
    this.canIssue = options.keys.length > 0
    this.published = options.published
    this.#families = new Recall(options.isFamilyAlive)
  }

  /** Throws `not_found` where this server has no key to sign with. */
  async issue (grant: AccessGrant, ttlMs = this.#options.ttlMs): Promise<{ token: string, expiresAt: Date }> {
    const { jwt, keys: [key], issuer, audience } = this.#options
    if (!key) throw new ApiError('not_found', { detail: 'This server issues no tokens: it has neither JWT_SECRET nor JWT_KEYS_FILE.' })
    const { tenantId, subject, scopes, account, keyId, visitor } = grant
    const iat = Math.floor(Date.now() / 1000)
    const exp = iat + Math.floor(ttlMs / 1000)
    const token = jwt.sign({
      sub: subject,
      tid: tenantId,
      scope: scopes.join(' '),
      use: 'access',
      ...(account && { email: account.email, role: account.role, fam: account.familyId }),
      ...(keyId !== undefined && { key: keyId }),
      ...(visitor && { visitor }),
      ...(issuer !== undefined && { iss: issuer }),
      ...(audience !== undefined && { aud: audience }),
      jti: randomBytes(12).toString('base64url'),
      iat,
      exp
    }, key)
    return { token, expiresAt: new Date(exp * 1000) }
  }

  /** Undefined: the token is not good, or not any more. */
  async verify (token: string): Promise<Principal | undefined> {
    const checked = this.#checked.get(token) ?? await this.#check(token)
    if (!checked || checked.endsAt < Date.now()) return undefined
    const { principal } = checked
    if (principal.account && !await this.#families.get(principal.account.familyId)) return undefined
    if (principal.keyId === undefined) return principal
    const key = await this.#options.livingKey(principal.keyId)
    if (!key || principal.kind === 'visitor') return key && principal
    // A key and the tokens made with it count together.
    return { ...principal, credential: key.credential, ...(key.requestsPerMinute !== undefined && { requestsPerMinute: key.requestsPerMinute }) }
  }

  /** A sign-in that has ended here: its tokens are refused at once, on other replicas within five seconds. */
  forgetFamily (familyId: string): void {
    this.#families.forget(familyId)
  }

  async #check (token: string): Promise<Checked | undefined> {
    const header = headerOf(token)
    const key = header && await this.#keyFor(header)
    if (!key) return undefined
    const claims = accessClaims(this.#verified(token, key))
    if (!claims || (claims.iat ?? 0) * 1000 > Date.now() + LEEWAY_MS) return undefined
    const checked = { principal: principalOf(claims, token, key.from), endsAt: claims.exp * 1000 + LEEWAY_MS }
    this.#checked.set(token, checked)
    return checked
  }

  #verified (token: string, key: VerificationKey): unknown {
    try {
      return this.#options.jwt.verify(token, key)
    } catch {
      return undefined
    }
  }

  /** By the algorithm and, for key pairs, the name: so a public key can never be taken for a secret. */
  async #keyFor ({ alg, kid }: { alg: Algorithm, kid?: string }): Promise<VerificationKey | undefined> {
    const own = this.#options.keys.find((key) => key.alg === alg && (alg === 'HS256' || key.kid === kid))
    if (own || alg === 'HS256') return own
    return await this.#options.remoteKey?.(alg, kid)
  }
}
