import { type FastifyReply, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { ProviderLogins } from '../src/oauth/provider-logins.ts'
import { configuredProviders } from '../src/oauth/providers.ts'

declare module 'fastify' {
  interface FastifyInstance {
    providerLogins: ProviderLogins
  }
  interface FastifyRequest {
    /** What the browser keeps of the login that it has begun last. */
    readonly loginKey: string | undefined
  }
  interface FastifyReply {
    /** Has the browser keep the key of a login; null: no longer. */
    keepLoginKey: (key: string | null) => FastifyReply
  }
}

// By its prefix, browsers refuse one that a page of another host has set.
const NAME = '__Host-parley-login'
// The provider sends the browser back with it, so it cannot be strict.
const attributes = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const
const KEPT_SECONDS = 600

/** Logging in by the providers that the environment sets up. `callMs`: how long each call to one may take. */
export default fp<{ config: Config, callMs?: number | undefined }>(async (fastify, { config, callMs }) => {
  fastify.decorate('providerLogins', new ProviderLogins({
    providers: configuredProviders(config, callMs),
    flows: fastify.store.loginFlows,
    limits: fastify.limits,
    publicUrl: config.PUBLIC_URL?.replace(/\/+$/, '') ?? '',
    origins: config.CORS_ORIGINS.split(',').map((text) => text.trim())
  }))
  fastify.decorateRequest('loginKey', {
    getter (this: FastifyRequest) {
      const { cookie } = this.headers
      return cookie === undefined ? undefined : fastify.parseCookie(cookie)[NAME]
    }
  })
  fastify.decorateReply('keepLoginKey', function (this: FastifyReply, key: string | null) {
    return key === null ? this.clearCookie(NAME, attributes) : this.setCookie(NAME, key, { ...attributes, maxAge: KEPT_SECONDS })
  })
}, { name: 'provider-logins', dependencies: ['mongo', 'limits', 'refresh-cookie'] })
