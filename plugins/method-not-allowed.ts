import fp from 'fastify-plugin'
import { ApiError } from '../src/errors.ts'

/** Answers 405 with `allow` where a path is known and the method is not. Registered last, when all routes are known. */
export default fp<{ methodsByUrl: ReadonlyMap<string, ReadonlySet<string>> }>(async (fastify, { methodsByUrl }) => {
  for (const [url, methods] of methodsByUrl) {
    const allow = [...methods].sort().join(', ')
    fastify.route({
      url,
      method: fastify.supportedMethods.filter((method) => !methods.has(method)),
      config: { scope: 'public' },
      schema: { hide: true },
      // A wrong method is refused before anything is read of its body.
      onRequest: async () => {
        throw new ApiError('method_not_allowed', { detail: `This resource knows ${allow}.`, headers: { allow } })
      },
      handler: async () => {}
    })
  }
}, { name: 'method-not-allowed', dependencies: ['errors'] })
