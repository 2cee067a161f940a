import fp from 'fastify-plugin'
import { ApiError } from '../src/errors.ts'

// Methods that Node reads and the framework does not route by itself; they would be told that the path is unknown.
// CONNECT is not among them: it never becomes a request.
const unrouted = [
  'ACL', 'BIND', 'CHECKOUT', 'COPY', 'LINK', 'LOCK', 'M-SEARCH', 'MERGE', 'MKACTIVITY', 'MKCALENDAR', 'MKCOL', 'MOVE', 'NOTIFY',
  'PROPFIND', 'PROPPATCH', 'PURGE', 'REBIND', 'REPORT', 'SEARCH', 'SOURCE', 'SUBSCRIBE', 'UNBIND', 'UNLINK', 'UNLOCK', 'UNSUBSCRIBE'
]

/** Answers 405 with `allow` where a path is known and the method is not. Registered last, when all routes are known. */
export default fp<{ methodsByUrl: ReadonlyMap<string, ReadonlySet<string>> }>(async (fastify, { methodsByUrl }) => {
  for (const method of unrouted) fastify.addHttpMethod(method)

  for (const [url, methods] of methodsByUrl) {
    const allow = [...methods].sort().join(', ')
    fastify.route({
      url,
      method: fastify.supportedMethods.filter((method) => !methods.has(method)),
      config: { scope: 'public', unlimited: true },
      schema: { hide: true },
      // A wrong method is refused before anything is read of its body.
      onRequest: async () => {
        throw new ApiError('method_not_allowed', { detail: `This resource knows ${allow}.`, headers: { allow } })
      },
      handler: async () => {}
    })
  }
}, { name: 'method-not-allowed', dependencies: ['errors'] })
