import fp from 'fastify-plugin'

/** One line per request, when it is over. No header, no query, no body: they may hold secrets. */
export default fp(async (fastify) => {
  fastify.onAnswered((request, reply, status) => {
    request.log.info({
      method: request.method,
      route: request.routeOptions.url,
      status,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      tenantId: request.caller?.tenantId,
      principal: request.caller?.kind
    }, 'request')
  })
}, { name: 'request-log', dependencies: ['answered', 'auth'] })
