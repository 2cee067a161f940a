import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import {
  allowInsecureRequests, authorizationCodeGrant, buildAuthorizationUrl, calculatePKCECodeChallenge, ClientSecretPost, Configuration,
  customFetch, type CustomFetch, fetchProtectedResource
} from 'openid-client'
import { boundedFetch } from './bounded-fetch.ts'
import { callbackUrl } from './callback-url.ts'
import { identityOf } from './identity.ts'
import {
  type AuthorizationResponse, type ClientCredentials, type Identity, type LoginProvider, type LoginSecrets
} from './login-provider.ts'

const User = Type.Object({ id: Type.Integer(), name: Type.Optional(Type.Union([Type.String(), Type.Null()])) })
const Emails = Type.Array(Type.Object({ email: Type.String(), primary: Type.Boolean(), verified: Type.Boolean() }))
const Refusal = Type.Object({ error: Type.String() })

/** GitHub says 200 even where it refuses a code, which the standard calls a 400. */
const fetchToken: CustomFetch = async (url, options) => {
  const response = await boundedFetch(url, options)
  if (!response.ok || options.method !== 'POST') return response
  const text = await response.text()
  const refused = Value.Check(Refusal, JSON.parse(text))
  return new Response(text, { status: refused ? 400 : 200, headers: response.headers })
}

export interface GitHubSettings extends ClientCredentials {
  /** GitHub itself, or the place of a GitHub Enterprise Server. */
  readonly url: URL
  readonly timeoutMs: number
}

/** GitHub, which speaks OAuth 2 and tells by its API who somebody is. Of their addresses only the primary one is taken. */
export class GitHubProvider implements LoginProvider {
  readonly name = 'github'
  readonly #issuer: string
  readonly #api: string
  readonly #configuration: Configuration

  constructor ({ url, clientId, clientSecret, timeoutMs }: GitHubSettings) {
    this.#issuer = url.origin
    this.#api = url.origin === 'https://github.com' ? 'https://api.github.com' : `${url.origin}/api/v3`
    this.#configuration = new Configuration({
      issuer: url.origin,
      authorization_endpoint: `${url.origin}/login/oauth/authorize`,
      token_endpoint: `${url.origin}/login/oauth/access_token`
    }, clientId, undefined, ClientSecretPost(clientSecret))
    this.#configuration.timeout = timeoutMs / 1000
    this.#configuration[customFetch] = fetchToken
    if (url.protocol === 'http:') allowInsecureRequests(this.#configuration)
  }

  async authorizationUrl ({ state, codeVerifier }: LoginSecrets, redirectUri: string): Promise<URL> {
    return buildAuthorizationUrl(this.#configuration, {
      redirect_uri: redirectUri,
      scope: 'user:email',
      state,
      code_challenge: await calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256'
    })
  }

  async identify (response: AuthorizationResponse, { state, codeVerifier }: LoginSecrets, redirectUri: string): Promise<Identity> {
    const { access_token: token } = await authorizationCodeGrant(this.#configuration, callbackUrl(redirectUri, response), {
      expectedState: state, pkceCodeVerifier: codeVerifier
    })
    const [{ id, name }, emails] = await Promise.all([
      this.#read('/user', token, User), this.#read('/user/emails?per_page=100', token, Emails)
    ])
    return identityOf({
      provider: this.name,
      subject: `${this.#issuer}|${id}`,
      email: emails.find(({ primary, verified }) => primary && verified)?.email,
      emailVerified: true,
      name
    })
  }

  async #read<T extends TSchema> (path: string, token: string, schema: T): Promise<Static<T>> {
    const headers = new Headers({ accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28', 'user-agent': 'parley' })
    const response = await fetchProtectedResource(this.#configuration, token, new URL(this.#api + path), 'GET', undefined, headers)
    const answer: unknown = response.ok ? await response.json() : undefined
    if (!Value.Check(schema, answer)) throw new Error(`unexpected answer to ${path}, status ${response.status}`)
    return answer
  }
}
