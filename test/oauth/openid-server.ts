import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import Provider from 'oidc-provider'
import { type Test } from 'tap'
import { callbackOf } from './browser.ts'
import { startLoopback } from './loopback-server.ts'

export const clientId = 'parley'
export const clientSecret = 'secret-of-the-client'

/** The claims of somebody by `sub`, which is what they log in as. */
export type People = Record<string, { email?: unknown, email_verified?: unknown, name?: unknown }>

const described = (key: KeyObject) => ({ ...key.export({ format: 'jwk' }), kid: 'the-key', use: 'sig', alg: 'ES256' })
const newPair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** A public key that nothing is signed with, by the name of the one that everything is signed with. */
export const foreignKey = () => described(newPair().publicKey)

/** A real OpenID provider. */
export interface OpenIdServer {
  readonly issuer: string
  readonly stop: () => void
  /** What it says its keys are, instead of what they are. */
  keys?: object[]
  /** Takes requests and never answers. */
  isSilent: boolean
}

export interface OpenIdServerOptions {
  readonly people: People
  /** The claims are in the ID token, not only at the userinfo endpoint. */
  readonly claimsInToken?: boolean
  /** How the client shows its secret. */
  readonly method?: 'client_secret_basic' | 'client_secret_post'
}

export async function startOpenIdServer (test: Test, { people, claimsInToken = false, method = 'client_secret_basic' }: OpenIdServerOptions): Promise<OpenIdServer> {
  // It warns of its own forms and memory, which are what a test wants.
  const warnings = test.capture(console, 'warn')
  const behaviour: { keys?: object[], isSilent: boolean } = { isSilent: false }
  const { url, stop } = await startLoopback(test, (issuer) => {
    const provider = new Provider(issuer, {
      clients: [{
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [callbackOf('oidc')],
        token_endpoint_auth_method: method,
        id_token_signed_response_alg: 'ES256'
      }],
      clientAuthMethods: [method],
      jwks: { keys: [described(newPair().privateKey)] },
      cookies: { keys: ['secret of the cookies'] },
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
      conformIdTokenClaims: !claimsInToken,
      pkce: { required: () => true },
      ttl: { Grant: 600, Interaction: 600, Session: 600, AccessToken: 600, IdToken: 600 },
      findAccount: (_context: unknown, sub: string) => people[sub] && { accountId: sub, claims: () => ({ sub, ...people[sub] }) }
    })
    const answer = provider.callback()
    return (request, response) => {
      if (behaviour.isSilent) return
      if (request.url === '/jwks' && behaviour.keys) {
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: behaviour.keys }))
      } else void answer(request, response)
    }
  })
  warnings.restore()
  return Object.assign(behaviour, { issuer: url, stop })
}
