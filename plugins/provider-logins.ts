import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { ProviderLogins } from '../src/oauth/provider-logins.ts'
import { configuredProviders } from '../src/oauth/providers.ts'

declare module 'fastify' {
  interface FastifyInstance {
    providerLogins: ProviderLogins
  }
}

/** Logging in by the providers that the environment sets up. `callMs`: how long each call to one may take. */
export default fp<{ config: Config, callMs?: number | undefined }>(async (fastify, { config, callMs }) => {
  fastify.decorate('providerLogins', new ProviderLogins({
    providers: configuredProviders(config, callMs),
    flows: fastify.store.loginFlows,
    publicUrl: config.PUBLIC_URL?.replace(/\/+$/, '') ?? '',
    origins: config.CORS_ORIGINS.split(',').map((text) => text.trim())
  }))
}, { name: 'provider-logins', dependencies: ['mongo'] })
