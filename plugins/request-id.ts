import { randomUUID } from 'node:crypto'
import { type IncomingMessage } from 'node:http'
import fp from 'fastify-plugin'

const VALID = /^[A-Za-z0-9._~-]{1,128}$/

/** The caller's own request id where it is a harmless one, else a fresh one. */
export function requestId (request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && VALID.test(given) ? given : randomUUID()
}

/** Puts `x-request-id` on every response. */
export default fp(async (fastify) => {
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
}, { name: 'request-id' })
