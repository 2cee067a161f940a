import { type preHandlerAsyncHookHandler, type RouteOptions } from 'fastify'
import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route has the model write for the session `:id`: how often visitors may is counted. */
    sends?: true
  }
}

/** What visitors may send, apart from what anybody may ask. Counted before a turn is begun. */
export default fp(async (fastify) => {
  const { limits } = fastify

  const counted: preHandlerAsyncHookHandler = async ({ principal: { kind, tenantId, userId }, params, ip }) => {
    if (kind !== 'visitor') return
    const visitor = [tenantId, userId]
    // The narrowest first: what it refuses is not counted against the others, the last of which is shared with strangers.
    // A session counts together with who asks, so that nobody uses up what others may send in theirs.
    await limits.hit('visitor-session', JSON.stringify([...visitor, (params as { id: string }).id]))
    await limits.hit('visitor-day', JSON.stringify(visitor))
    await limits.hit('visitor-ip', ip)
  }

  fastify.addHook('onRoute', (route: RouteOptions) => {
    if (route.config?.sends) route.preHandler = [counted, ...[route.preHandler ?? []].flat()]
  })
}, { name: 'visitor-limits', dependencies: ['limits', 'auth'] })
