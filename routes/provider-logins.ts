import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ProviderCallbackQuery, ProviderLoginQuery, ProviderPath } from '../schemas/provider-login.ts'
import { SignIn } from '../schemas/account.ts'
import { NoBody, open, problems } from '../schemas/responses.ts'
import { Ref } from '../schemas/type.ts'

const tags = ['accounts']

/** Logging in by other providers: out to one, and back. */
const providerLoginRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { providerLogins, accounts } = fastify
  fastify.addHook('onRequest', fastify.withAccounts)

  // Whoever looks ahead with a HEAD must not begin or end anything.
  fastify.get('/api/auth/oauth/:provider', {
    config: { scope: 'public' },
    exposeHeadRoute: false,
    schema: {
      operationId: 'beginProviderLogin',
      summary: 'Send a browser to log in at a provider',
      description: 'For a browser to open as a page. It keeps a cookie for ten minutes, with which alone the login can end.',
      tags,
      params: ProviderPath,
      querystring: ProviderLoginQuery,
      response: { 302: NoBody('To the provider.'), ...open(), ...problems(404, 502), ...problems('default') }
    }
  }, async ({ params, query, ip }, reply) => {
    const { location, browserKey } = await providerLogins.begin(params.provider, ip, query)
    return await reply.keepLoginKey(browserKey).redirect(location, 302)
  })

  fastify.get('/api/auth/oauth/:provider/callback', {
    config: { scope: 'public', audit: { action: 'account.signed-in' }, compressed: false },
    exposeHeadRoute: false,
    schema: {
      operationId: 'endProviderLogin',
      summary: 'Take a browser back from a provider',
      description: 'Where the provider sends the browser. Without `returnTo` at the beginning, it is answered as a login is; with it, the ' +
        'browser is sent there, with the refresh token in its cookie.',
      tags,
      params: ProviderPath,
      querystring: ProviderCallbackQuery,
      response: { 200: Ref(SignIn), 302: NoBody('To `returnTo`.'), ...open(), ...problems(403, 404, 409, 502) }
    }
  }, async (request, reply) => {
    const { params, query, ip, loginKey } = request
    const { identity, invitation, returnTo } = await providerLogins.end(params.provider, ip, query, loginKey)
    const signedIn = await accounts.signInWith(identity, { ip, ...(invitation !== undefined && { invitation }) })
    const { user, tenant } = signedIn
    request.auditedAs({ tenantId: tenant.id, account: user, targetId: user.id })
    reply.keepLoginKey(null)
    if (returnTo === null) return await reply.sendSignIn(signedIn, false)
    return await reply.setRefreshCookie(signedIn).redirect(returnTo, 302)
  })
}

export default providerLoginRoutes
