import { type GrantedToken, type TokenRequest, type VisitorToken, type VisitorTokenInput } from '../../schemas/machine-token.ts'
import { type Chatbots } from '../chatbots/chatbots.ts'
import { ApiError } from '../errors.ts'
import { type AccessTokens } from './access-tokens.ts'
import { type ApiKeyVerifier } from './api-key-verifier.ts'
import { covers, scopes, type Principal, type Scope } from './principal.ts'

const VISITOR_SECONDS = 3600

/** Where a client may show its key. */
export interface ClientHeaders {
  readonly authorization?: string | undefined
  readonly 'x-api-key'?: string | string[] | undefined
}

interface Client {
  readonly id?: string | undefined
  readonly key?: string | undefined
}

/** The client as it introduces itself: a header comes before the body. */
function clientOf ({ authorization, 'x-api-key': apiKey }: ClientHeaders, { client_id: id, client_secret: key }: TokenRequest): Client {
  if (authorization === undefined) return typeof apiKey === 'string' ? { id, key: apiKey } : { id, key }
  const [, scheme, value] = /^(bearer|basic) +(\S+)$/i.exec(authorization) ?? []
  if (scheme?.toLowerCase() === 'bearer') return { id, key: value }
  const [, name, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(value ?? '', 'base64').toString('utf8')) ?? []
  return { id: name, key: secret }
}

const isOneOf = (principal: Principal, id: string) => id === principal.keyId || id === principal.credential

/** The scopes that a token gets of those that its key has. Throws `forbidden`. */
function grantedTo (principal: Principal, wanted: string | undefined): Scope[] {
  const asked = wanted?.split(' ').filter(Boolean) ?? []
  if (asked.length === 0) return scopes.filter((scope) => principal.scopes.has(scope))
  return asked.map((name) => {
    const scope = scopes.find((known) => known === name)
    if (scope === undefined || !covers(principal, scope)) throw new ApiError('forbidden', { detail: `The key does not cover ${name}.` })
    return scope
  })
}

interface MachineTokensOptions {
  readonly accessTokens: AccessTokens
  readonly verifier: ApiKeyVerifier
  readonly chatbots: Chatbots
}

/** Tokens that are made with an API key, and die with it. */
export class MachineTokens {
  readonly #accessTokens: AccessTokens
  readonly #verifier: ApiKeyVerifier
  readonly #chatbots: Chatbots

  constructor ({ accessTokens, verifier, chatbots }: MachineTokensOptions) {
    this.#accessTokens = accessTokens
    this.#verifier = verifier
    this.#chatbots = chatbots
  }

  /** A token for the client itself. */
  async forClient (headers: ClientHeaders, request: TokenRequest): Promise<GrantedToken> {
    const { id, key } = clientOf(headers, request)
    const principal = key === undefined ? undefined : await this.#verifier.verify(key)
    if (!principal || (id !== undefined && !isOneOf(principal, id))) {
      const scheme = /^basic /i.test(headers.authorization ?? '') ? 'Basic' : 'Bearer'
      throw new ApiError('unauthenticated', {
        detail: 'The client is not known: its key is missing or not valid.', headers: { 'www-authenticate': `${scheme} realm="parley"` }
      })
    }
    const { tenantId, keyId } = principal
    const granted = grantedTo(principal, request.scope)
    const { token, expiresAt } = await this.#accessTokens.issue({ tenantId, subject: `key:${keyId!}`, scopes: granted, keyId: keyId! })
    return {
      access_token: token,
      token_type: 'Bearer',
      expires_in: Math.max(0, Math.floor((expiresAt.getTime() - Date.now()) / 1000)),
      scope: granted.join(' ')
    }
  }

  /** A token for a visitor of one chatbot. Throws `forbidden` for whoever is no API key. */
  async forVisitor ({ tenantId, keyId }: Principal, { configId, visitorId, origin, ttlSeconds = VISITOR_SECONDS }: VisitorTokenInput): Promise<VisitorToken> {
    if (keyId === undefined) throw new ApiError('forbidden', { detail: 'Visitors are let in by an API key.' })
    await this.#chatbots.require(tenantId, configId)
    // With the chatbot in it, the user is another one for each: so the sessions with one are not found with the token for another.
    const userId = `visitor:${configId}:${visitorId}`
    const visitor = { configId, ...(origin !== undefined && { origin: new URL(origin).origin }) }
    const { token, expiresAt } = await this.#accessTokens.issue({ tenantId, subject: userId, scopes: ['chat'], keyId, visitor }, ttlSeconds * 1000)
    return { token, expiresAt: expiresAt.toISOString(), userId }
  }
}
