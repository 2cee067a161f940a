import cookie from '@fastify/cookie'
import { type FastifyReply, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { csrfTokenOf, readRefreshToken } from '../src/accounts/refresh-token.ts'
import { isSame } from '../src/accounts/secrets.ts'
import { type SignedIn } from '../src/accounts/sign-ins.ts'
import { type Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * The refresh token of the cookie, if there is one. Throws `forbidden` where the request does not prove that it comes
     * from a page that may use it.
     */
    readonly refreshCookie: () => string | undefined
    /** What a page has to say beside the cookie, for one that has not been told it. Throws `forbidden` for any other page. */
    readonly csrfToken: () => string | undefined
  }
  interface FastifyReply {
    /** Gives the refresh token to the browser, out of reach for the scripts of its pages. */
    setRefreshCookie: (signedIn: Pick<SignedIn, 'refreshToken' | 'refreshExpiresAt'>) => FastifyReply
    clearRefreshCookie: () => FastifyReply
    /** Answers with a sign-in; with `inCookie`, its refresh token goes to the browser and not to the page. */
    sendSignIn: (signedIn: SignedIn, inCookie: boolean) => FastifyReply
  }
}

const NAME = '__Secure-parley-refresh'
const attributes = { httpOnly: true, secure: true, sameSite: 'strict', path: '/api/auth' } as const

/** Refresh tokens in a cookie, and what keeps other sites from using it. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  // Cookies are read where they are needed, not with every request.
  await fastify.register(cookie, { hook: false })
  const allowed = new Set(config.CORS_ORIGINS.split(',').map((text) => text.trim()).filter(Boolean))
  if (config.PUBLIC_URL !== undefined) allowed.add(new URL(config.PUBLIC_URL).origin)

  function isAllowed (origin: string | undefined, host: string): boolean {
    if (origin === undefined || !URL.canParse(origin)) return false
    return allowed.has(origin) || new URL(origin).host === host
  }

  function read ({ headers, host }: FastifyRequest): string | undefined {
    const text = headers.cookie === undefined ? undefined : fastify.parseCookie(headers.cookie)[NAME]
    if (text !== undefined && !isAllowed(headers.origin, host)) {
      throw new ApiError('forbidden', { detail: 'A page of this origin may not use the cookie.' })
    }
    return text
  }

  fastify.decorateRequest('csrfToken', function (this: FastifyRequest) {
    const token = readRefreshToken(read(this) ?? '')
    return token && csrfTokenOf(token)
  })
  fastify.decorateRequest('refreshCookie', function (this: FastifyRequest) {
    const text = read(this)
    const token = readRefreshToken(text ?? '')
    // What is no token is refused as one.
    if (token && !isSame(String(this.headers['x-csrf-token']), csrfTokenOf(token))) {
      throw new ApiError('forbidden', { detail: 'With the cookie goes the `csrfToken` of its sign-in, in the header X-CSRF-Token.' })
    }
    return text
  })
  fastify.decorateReply('setRefreshCookie', function (this: FastifyReply, { refreshToken, refreshExpiresAt }) {
    return this.setCookie(NAME, refreshToken, { ...attributes, expires: refreshExpiresAt })
  })
  fastify.decorateReply('clearRefreshCookie', function (this: FastifyReply) {
    return this.clearCookie(NAME, attributes)
  })
  fastify.decorateReply('sendSignIn', function (this: FastifyReply, signedIn, inCookie) {
    const { token, expiresAt, refreshToken, csrfToken, user, tenant } = signedIn
    if (inCookie) this.setRefreshCookie(signedIn)
    return this.send({ token, expiresAt: expiresAt.toISOString(), ...(inCookie ? { csrfToken } : { refreshToken }), user, tenant })
  })
}, { name: 'refresh-cookie' })
