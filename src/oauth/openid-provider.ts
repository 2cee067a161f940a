import {
  allowInsecureRequests, authorizationCodeGrant, buildAuthorizationUrl, calculatePKCECodeChallenge, type ClientAuth, ClientSecretBasic,
  ClientSecretPost, type Configuration, customFetch, discovery, enableNonRepudiationChecks, fetchUserInfo
} from 'openid-client'
import { boundedFetch } from './bounded-fetch.ts'
import { callbackUrl } from './callback-url.ts'
import { identityOf } from './identity.ts'
import {
  type AuthorizationResponse, type ClientCredentials, type Identity, type LoginProvider, type LoginSecrets
} from './login-provider.ts'
import { refusedLogin } from './provider-failure.ts'

const FRESH_MS = 3_600_000

/** What an ID token or the userinfo endpoint says of somebody. */
export type Claims = Readonly<Record<string, unknown>>

export interface OpenIdSettings extends ClientCredentials {
  readonly name: string
  readonly issuer: URL
  /** Whether the provider vouches for the address among these claims. */
  readonly vouches: (claims: Claims) => boolean
  /** Whether the secret goes in the body. Else it goes as every provider has to take it, unless it says that it does not. */
  readonly secretInBody?: boolean
  /** How long each call may take. */
  readonly timeoutMs: number
}

function authenticateBy ({ clientSecret, secretInBody = false }: OpenIdSettings): ClientAuth {
  const [inHeader, inBody] = [ClientSecretBasic(clientSecret), ClientSecretPost(clientSecret)]
  return (server, ...rest) => {
    const { token_endpoint_auth_methods_supported: methods = ['client_secret_basic'] } = server
    return (secretInBody || !methods.includes('client_secret_basic') ? inBody : inHeader)(server, ...rest)
  }
}

/** A provider of OpenID Connect, known by its issuer: it tells of itself where its endpoints and keys are. */
export class OpenIdProvider implements LoginProvider {
  readonly name: string
  readonly #settings: OpenIdSettings
  #known: { readonly configuration: Configuration, readonly at: number } | undefined
  #discovering: Promise<Configuration> | undefined

  constructor (settings: OpenIdSettings) {
    this.name = settings.name
    this.#settings = settings
  }

  async authorizationUrl ({ state, nonce, codeVerifier }: LoginSecrets, redirectUri: string): Promise<URL> {
    return buildAuthorizationUrl(await this.#configuration(), {
      redirect_uri: redirectUri,
      scope: 'openid email profile',
      state,
      nonce,
      code_challenge: await calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256'
    })
  }

  async identify (response: AuthorizationResponse, { state, nonce, codeVerifier }: LoginSecrets, redirectUri: string): Promise<Identity> {
    const configuration = await this.#configuration()
    const { issuer, userinfo_endpoint: userinfo, authorization_response_iss_parameter_supported: saysIssuer } = configuration.serverMetadata()
    if (response.iss === undefined ? saysIssuer : response.iss !== issuer) {
      throw refusedLogin('/iss', 'must be the issuer asked', 'This does not come from the login provider that was asked.')
    }
    const tokens = await authorizationCodeGrant(configuration, callbackUrl(redirectUri, response), {
      expectedState: state, expectedNonce: nonce, pkceCodeVerifier: codeVerifier, idTokenExpected: true
    })
    const claimed = tokens.claims()!
    // Many tell the address by the userinfo endpoint only.
    const claims: Claims = claimed['email'] === undefined && userinfo !== undefined
      ? { ...await fetchUserInfo(configuration, tokens.access_token, claimed.sub) }
      : claimed
    return identityOf({
      provider: this.name,
      subject: `${claimed.iss}|${claimed.sub}`,
      email: claims['email'],
      emailVerified: this.#settings.vouches(claims),
      name: claims['name']
    })
  }

  /** What the provider tells of itself; while it does not, what it has told before. */
  async #configuration (): Promise<Configuration> {
    const known = this.#known
    if (known && performance.now() - known.at < FRESH_MS) return known.configuration
    this.#discovering ??= this.#discover().finally(() => { this.#discovering = undefined })
    return await this.#discovering.catch((error: unknown) => {
      if (!known) throw error
      return known.configuration
    })
  }

  /** Tried twice: what fails first may be a connection that was kept open for too long. */
  async #discover (): Promise<Configuration> {
    const configuration = await this.#discoverOnce().catch(async () => await this.#discoverOnce())
    this.#known = { configuration, at: performance.now() }
    return configuration
  }

  async #discoverOnce (): Promise<Configuration> {
    const { issuer, clientId, timeoutMs } = this.#settings
    return await discovery(issuer, clientId, undefined, authenticateBy(this.#settings), {
      [customFetch]: boundedFetch,
      timeout: timeoutMs / 1000,
      // Plain HTTP is for issuers on this machine; the environment allows no others.
      execute: [enableNonRepudiationChecks, ...(issuer.protocol === 'http:' ? [allowInsecureRequests] : [])]
    })
  }
}
