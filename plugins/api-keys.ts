import fp from 'fastify-plugin'
import { ApiKeyVerifier } from '../src/auth/api-key-verifier.ts'
import { ApiKeys } from '../src/auth/api-keys.ts'
import { type Config } from '../src/config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    apiKeyVerifier: ApiKeyVerifier
    apiKeys: ApiKeys
  }
}

/** API keys. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { store: { apiKeys: repository } } = fastify
  const verifier = new ApiKeyVerifier(repository)
  fastify.decorate('apiKeyVerifier', verifier)
  fastify.decorate('apiKeys', new ApiKeys({ repository, verifier, requestsPerMinute: config.RATE_LIMIT_PER_MINUTE }))
}, { name: 'api-keys', dependencies: ['mongo'] })
