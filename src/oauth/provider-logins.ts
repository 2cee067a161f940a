import { createHash, createHmac, randomBytes } from 'node:crypto'
import { ApiError } from '../errors.ts'
import { type Limits } from '../limits/limits.ts'
import { type LoginFlowRepository } from '../store/login-flows.ts'
import { type AuthorizationResponse, type Identity, type LoginProvider, type LoginSecrets } from './login-provider.ts'
import { providerFailure, refusedLogin } from './provider-failure.ts'
import { returnAddress } from './return-address.ts'

export interface ProviderLoginsOptions {
  readonly providers: ReadonlyMap<string, LoginProvider>
  readonly flows: LoginFlowRepository
  readonly limits: Pick<Limits, 'hit'>
  /** Where browsers find this server, without a slash at the end. */
  readonly publicUrl: string
  /** Where browsers may be sent besides. */
  readonly origins: readonly string[]
}

/** A login on its way out: where the browser goes, and what it has to keep until it is back. */
export interface BegunLogin {
  readonly location: string
  readonly browserKey: string
}

/** What somebody wants of a login. */
export interface LoginWish {
  /** Where to be sent after it. */
  readonly returnTo?: string
  /** The token of an invitation to accept. */
  readonly invitation?: string
}

export interface EndedLogin {
  readonly identity: Identity
  readonly invitation: string | undefined
  /** Where the browser wants to be sent. Null: nowhere. */
  readonly returnTo: string | null
}

const random = () => randomBytes(32).toString('base64url')
const fail = (error: unknown) => { throw providerFailure(error) }
const hash = (text: string) => createHash('sha256').update(text).digest('base64url')

/**
 * What a login has to keep secret is made of a key that only the browser keeps, so nothing that is stored is of use to
 * whoever reads it.
 */
function secretsOf (browserKey: string, state: string): LoginSecrets {
  const derive = (use: string) => createHmac('sha256', browserKey).update(`${use} ${state}`).digest('base64url')
  return { state, nonce: derive('nonce'), codeVerifier: derive('code verifier') }
}

/** Logging in by other providers: out with the browser, and back with somebody. */
export class ProviderLogins {
  readonly #options: ProviderLoginsOptions

  constructor (options: ProviderLoginsOptions) {
    this.#options = options
  }

  /** Throws `not_found` for a provider that is not set up, `validation_failed` for an address that nobody is sent to, and `rate_limited`. */
  async begin (name: string, ip: string, { returnTo, invitation }: LoginWish = {}): Promise<BegunLogin> {
    const { flows, publicUrl, origins } = this.#options
    const provider = await this.#provider(name, ip)
    const address = returnTo === undefined ? null : returnAddress(returnTo, [new URL(publicUrl).origin, ...origins])
    const state = random()
    // The token of an invitation is a secret, too, so the browser keeps it with its own.
    const browserKey = [random(), ...(invitation === undefined ? [] : [invitation])].join('.')
    const { href } = await provider.authorizationUrl(secretsOf(browserKey, state), this.#redirectUri(name)).catch(fail)
    await flows.insert({ id: hash(state), browser: hash(browserKey), provider: name, returnTo: address })
    return { location: href, browserKey }
  }

  /** Whoever comes back must come from the flow of their own browser, and only once. */
  async end (name: string, ip: string, response: AuthorizationResponse, browserKey = ''): Promise<EndedLogin> {
    const provider = await this.#provider(name, ip)
    const { state } = response
    const flow = await this.#options.flows.take({ id: hash(state), browser: hash(browserKey), provider: name })
    if (!flow) {
      throw refusedLogin('/state', 'must be that of a login begun here', 'This login was begun in another browser, has run out or has ended. Begin again.')
    }
    const identity = await provider.identify(response, secretsOf(browserKey, state), this.#redirectUri(name)).catch(fail)
    return { identity, invitation: browserKey.split('.')[1], returnTo: flow.returnTo }
  }

  async #provider (name: string, ip: string): Promise<LoginProvider> {
    const { providers, limits } = this.#options
    const provider = providers.get(name)
    if (!provider) throw new ApiError('not_found', { detail: 'There is no such login provider.' })
    await limits.hit('provider-login-ip', ip)
    return provider
  }

  #redirectUri (name: string): string {
    return `${this.#options.publicUrl}/api/auth/oauth/${name}/callback`
  }
}
