import { createHash, createHmac, randomBytes } from 'node:crypto'
import { ApiError } from '../errors.ts'
import { type LoginFlowRepository } from '../store/login-flows.ts'
import { type AuthorizationResponse, type Identity, type LoginProvider, type LoginSecrets } from './login-provider.ts'
import { providerFailure, refusedLogin } from './provider-failure.ts'
import { returnAddress } from './return-address.ts'

export interface ProviderLoginsOptions {
  readonly providers: ReadonlyMap<string, LoginProvider>
  readonly flows: LoginFlowRepository
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

export interface EndedLogin {
  readonly identity: Identity
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

  /** Throws `not_found` for a provider that is not set up, and `validation_failed` for an address that nobody is sent to. */
  async begin (name: string, returnTo?: string): Promise<BegunLogin> {
    const { flows, publicUrl, origins } = this.#options
    const provider = this.#provider(name)
    const address = returnTo === undefined ? null : returnAddress(returnTo, [new URL(publicUrl).origin, ...origins])
    const [state, browserKey] = [random(), random()]
    const { href } = await provider.authorizationUrl(secretsOf(browserKey, state), this.#redirectUri(name)).catch(fail)
    await flows.insert({ id: hash(state), browser: hash(browserKey), provider: name, returnTo: address })
    return { location: href, browserKey }
  }

  /** Whoever comes back must come from the flow of their own browser, and only once. */
  async end (name: string, response: AuthorizationResponse, browserKey = ''): Promise<EndedLogin> {
    const provider = this.#provider(name)
    const { state } = response
    const flow = await this.#options.flows.take({ id: hash(state), browser: hash(browserKey), provider: name })
    if (!flow) {
      throw refusedLogin('/state', 'must be that of a login begun here', 'This login was begun in another browser, has run out or has ended. Begin again.')
    }
    const identity = await provider.identify(response, secretsOf(browserKey, state), this.#redirectUri(name)).catch(fail)
    return { identity, returnTo: flow.returnTo }
  }

  #provider (name: string): LoginProvider {
    const provider = this.#options.providers.get(name)
    if (!provider) throw new ApiError('not_found', { detail: 'There is no such login provider.' })
    return provider
  }

  #redirectUri (name: string): string {
    return `${this.#options.publicUrl}/api/auth/oauth/${name}/callback`
  }
}
