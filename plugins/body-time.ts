import fp from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route reads its body as it comes, and looks itself that it keeps coming. */
    streamsBody?: true
  }
}

const late = Object.assign(new Error('the body did not arrive in time'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })

/**
 * How long a request may take to arrive. Node's own limit counts for every request, however long its body is; this one
 * leaves out the routes that stream theirs.
 */
export default fp<{ arrivalMs: number }>(async (fastify, { arrivalMs }) => {
  const { server } = fastify
  server.headersTimeout = arrivalMs
  server.requestTimeout = 0

  fastify.addHook('onRequest', (request, _reply, done) => {
    const { raw, routeOptions: { config } } = request
    const hasBody = raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0
    if (hasBody && !config.streamsBody) {
      const { socket } = raw
      const timer = setTimeout(() => { server.emit('clientError', late, socket) }, arrivalMs)
      const clear = () => {
        clearTimeout(timer)
        socket.off('close', clear)
      }
      raw.once('end', clear)
      // A request that was refused before its body was read tells nothing of its connection's end.
      socket.once('close', clear)
    }
    done()
  })
}, { name: 'body-time' })
