import { type FastifyRequest, type onRequestAsyncHookHandler, type RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { covers, type Principal, type Scope } from '../src/auth/principal.ts'
import { Recall } from '../src/auth/recall.ts'
import { ApiError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * What a credential must cover, one of these; `public` needs none, and `account` a person who has signed in here,
     * whatever they may do. Every route must say it.
     */
    scope?: Scope | readonly Scope[] | 'public' | 'account'
    /** Who gives no credential is let in without a caller: the handler checks a signature of the body, and refuses else. */
    orSigned?: true
  }
  interface FastifyInstance {
    /** Whether a tenant is not suspended, as it was a few seconds ago. */
    activeTenants: Recall<boolean>
  }
  interface FastifyRequest {
    /** Who is asking. Null on public routes and where the credential is missing or wrong. */
    caller: Principal | null
    /** Who is asking, on a route behind a credential. */
    readonly principal: Principal
  }
}

/** Default deny: every route says which scope it needs or that it is public, else the start fails. */
export default fp(async (fastify) => {
  const { accessTokens, apiKeyVerifier, store } = fastify
  // A tenant that only credentials name is active.
  const activeTenants = new Recall(async (id) => (await store.tenants.find(id))?.status !== 'suspended')

  async function identify ({ headers }: FastifyRequest): Promise<Principal | undefined> {
    const [, bearer] = /^bearer +(\S+)$/i.exec(headers.authorization ?? '') ?? []
    const apiKey = headers['x-api-key']
    if (bearer !== undefined) return bearer.startsWith('pk_') ? await apiKeyVerifier.verify(bearer) : await accessTokens.verify(bearer)
    return headers.authorization === undefined && typeof apiKey === 'string' ? await apiKeyVerifier.verify(apiKey) : undefined
  }

  fastify.decorate('activeTenants', activeTenants)

  const identified: onRequestAsyncHookHandler = async (request) => {
    request.caller = await identify(request) ?? null
  }

  /** A token that is bound to a page is of no use elsewhere. */
  function requireOrigin ({ visitor }: Principal, origin: string | undefined): void {
    if (visitor?.origin === undefined || visitor.origin === origin) return
    throw new ApiError('forbidden', { detail: 'The token is bound to another origin.' })
  }

  const authorized = (needed: readonly Scope[] | 'account'): onRequestAsyncHookHandler => async ({ caller, headers }) => {
    if (!caller) {
      const given = headers.authorization !== undefined || headers['x-api-key'] !== undefined
      throw new ApiError('unauthenticated', {
        detail: given ? 'The credential is not valid.' : 'This needs an API key or a bearer token.',
        headers: { 'www-authenticate': given ? 'Bearer realm="parley", error="invalid_token"' : 'Bearer realm="parley"' }
      })
    }
    requireOrigin(caller, headers.origin)
    if (!await activeTenants.get(caller.tenantId)) throw new ApiError('forbidden', { detail: 'The tenant is suspended.' })
    if (needed === 'account') {
      if (!caller.account) throw new ApiError('forbidden', { detail: 'This is for people who have signed in.' })
      return
    }
    if (!covers(caller, ...needed)) {
      throw new ApiError('forbidden', { detail: `This needs the scope ${needed.join(' or ')}.` })
    }
  }

  /** The same check, for those who give a credential. */
  const unlessWithout = (check: onRequestAsyncHookHandler): onRequestAsyncHookHandler => async function (request, reply) {
    const { authorization, 'x-api-key': apiKey } = request.headers
    if (authorization !== undefined || apiKey !== undefined) await check.call(this, request, reply)
  }

  fastify.decorateRequest('caller', null)
  fastify.decorateRequest('principal', {
    getter (this: FastifyRequest) {
      if (!this.caller) throw new Error('a public route has no principal')
      return this.caller
    }
  })

  fastify.addHook('onRoute', (route: RouteOptions) => {
    const scope = route.config?.scope
    if (scope === undefined) throw new Error(`${route.url} declares no scope`)
    if (scope === 'public') {
      if (!route.config?.unlimited) route.onRequest = [fastify.limitRate, ...[route.onRequest ?? []].flat()]
      return
    }
    // The limit counts per credential, so it comes after who is asking is known; refusals count, too.
    const checks = [
      identified,
      fastify.limitRate,
      authorized(scope === 'account' ? scope : [scope].flat<Array<Scope | readonly Scope[]>>())
    ]
    route.onRequest = [...route.config?.orSigned ? checks.map(unlessWithout) : checks, ...[route.onRequest ?? []].flat()]
  })
}, { name: 'auth', dependencies: ['access-tokens', 'rate-limit'] })
