import { type ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import { ApiError } from '../src/errors.ts'

// Browsers send some 20, proxies add a few.
const MAX_HEADERS = 100

function drop (this: ServerResponse): void {
  this.destroy()
}

/** What a peer may cost by asking much or taking little: the number of header fields, and how long an answer may lie unread. */
export default fp<{ unreadMs: number }>(async (fastify, { unreadMs }) => {
  fastify.addHook('onRequest', (request, _reply, done) => {
    const isTooMany = request.raw.rawHeaders.length > 2 * MAX_HEADERS
    done(isTooMany
      ? new ApiError('validation_failed', {
        detail: `The request has more than ${MAX_HEADERS} header fields.`,
        members: { errors: [{ path: '', message: `must have at most ${MAX_HEADERS} header fields` }] }
      })
      : undefined)
  })

  // Only from here on: how long the answer takes to be made is for others to say.
  fastify.addHook('onSend', (_request, { raw }, payload, done) => {
    raw.setTimeout(unreadMs, drop)
    done(null, payload)
  })
}, { name: 'connection-limits' })
