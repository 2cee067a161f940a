import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { LoginInput, LogoutInput, RefreshInput, Registered, RegistrationInput, SignIn } from '../schemas/account.ts'
import { CookieHeaders, CsrfToken } from '../schemas/refresh-cookie.ts'
import { guarded, NoBody, open, problems } from '../schemas/responses.ts'
import { Ref } from '../schemas/type.ts'
import { ApiError } from '../src/errors.ts'

const tags = ['accounts']

const missing = (detail: string) => new ApiError('unauthenticated', { detail, headers: { 'www-authenticate': 'Bearer realm="parley"' } })

/** Making an account, signing in and out. */
const authRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { registration, logins, signIns } = fastify.accounts
  fastify.addHook('onRequest', fastify.withAccounts)

  fastify.post('/api/auth/register', {
    config: { scope: 'public', audit: { action: 'account.registered' } },
    schema: {
      operationId: 'registerAccount',
      summary: 'Make an account and a tenant',
      description: 'The account owns the tenant and can sign in at once. Its address gets a mail to confirm it. An address that has an ' +
        'account is told as 409.',
      tags,
      body: Ref(RegistrationInput),
      response: { 201: Ref(Registered), ...open(), ...problems(403, 404, 409, 413, 415) }
    }
  }, async (request, reply) => {
    const registered = await registration.register(request.body, request.ip)
    const { user, tenant } = registered
    request.auditedAs({ tenantId: tenant.id, account: { id: user.id, role: 'owner' }, targetId: user.id })
    return await reply.code(201).send(registered)
  })

  fastify.post('/api/auth/login', {
    config: { scope: 'public', audit: { action: 'account.signed-in' } },
    schema: {
      operationId: 'logIn',
      summary: 'Sign in with e-mail address and password',
      description: 'Whether the address or the password is wrong is not told, nor does it take another time.',
      tags,
      body: Ref(LoginInput),
      response: { 200: Ref(SignIn), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async (request, reply) => {
    const { body, ip } = request
    const known = (id: string) => request.auditedAs({ account: { id }, targetId: id })
    const signedIn = await logins.login(body, ip, known)
    request.auditedAs({ tenantId: signedIn.tenant.id, account: signedIn.user })
    return await reply.sendSignIn(signedIn, body.cookie === true)
  })

  fastify.post('/api/auth/refresh', {
    config: { scope: 'public' },
    schema: {
      operationId: 'refreshSignIn',
      summary: 'Take a refresh token for new tokens',
      description: 'A refresh token is good for one use. Shown again, by whomever, it ends its sign-in with all tokens that came of it; ' +
        'of two requests with the same token at once, one is answered, and the sign-in ends all the same.',
      tags,
      headers: CookieHeaders,
      body: Ref(RefreshInput),
      response: { 200: Ref(SignIn), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async (request, reply) => {
    const { refreshToken } = request.body
    const token = refreshToken ?? request.refreshCookie()
    if (token === undefined) throw missing('There is no refresh token, neither in the body nor as a cookie.')
    return await reply.sendSignIn(await signIns.refresh(token), refreshToken === undefined)
  })

  fastify.post('/api/auth/csrf-token', {
    config: { scope: 'public', repeatable: true },
    schema: {
      operationId: 'getCsrfToken',
      summary: 'Be told the CSRF token of the cookie',
      description: 'For a page that has the cookie and not the answer of a sign-in, as after a login at a provider or after it was loaded anew.',
      tags,
      response: { 200: Ref(CsrfToken), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async (request) => {
    const csrfToken = request.csrfToken()
    if (csrfToken === undefined) throw missing('There is no refresh token as a cookie.')
    return { csrfToken }
  })

  fastify.post('/api/auth/logout', {
    config: { scope: 'public', audit: { action: 'account.signed-out' } },
    schema: {
      operationId: 'logOut',
      summary: 'End a sign-in',
      description: 'Its access tokens stop working within 5 s on every replica. A token that is none ends nothing.',
      tags,
      headers: CookieHeaders,
      body: Ref(LogoutInput),
      response: { 204: NoBody('Ended.'), ...open(), ...problems(403, 404, 413, 415) }
    }
  }, async (request, reply) => {
    const { refreshToken } = request.body
    const cookie = refreshToken === undefined ? request.refreshCookie() : undefined
    if (cookie !== undefined) reply.clearRefreshCookie()
    const ended = await signIns.end(refreshToken ?? cookie ?? '')
    if (ended) request.auditedAs({ tenantId: ended.tenantId, account: { id: ended.userId }, targetId: ended.userId })
    return await reply.code(204).send()
  })
}

export default authRoutes
