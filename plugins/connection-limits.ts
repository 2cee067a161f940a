import { type ServerResponse } from 'node:http'
import fp from 'fastify-plugin'
import { ApiError } from '../src/errors.ts'

// Browsers send some 20, proxies add a few.
const MAX_HEADERS = 100

// What is smaller the system takes whole, and the connection is idle from then on.
const MAX_BUFFERED_BYTES = 65_536

function drop (this: ServerResponse): void {
  this.destroy()
}

/**
 * What a peer may cost by asking much or taking little: the number of header fields, and how long an answer may lie unread. One
 * that is held in memory must be taken whole in that time, else a byte now and then would keep it there.
 */
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
    if ((typeof payload === 'string' || Buffer.isBuffer(payload)) && payload.length > MAX_BUFFERED_BYTES) {
      const timer = setTimeout(() => { raw.destroy() }, unreadMs)
      raw.once('close', () => { clearTimeout(timer) })
    }
    done(null, payload)
  })
}, { name: 'connection-limits' })
