import { isUtf8 } from 'node:buffer'
import fp from 'fastify-plugin'
import { ApiError } from '../src/errors.ts'
import { isDeeperThan } from '../src/json-depth.ts'

// Deep enough for any data, and far from where recursive code runs out of stack.
const MAX_DEPTH = 32

/** JSON bodies: valid UTF-8, of bounded depth, without members that would change a prototype. */
export default fp(async (fastify) => {
  const parse = fastify.getDefaultJsonParser('error', 'error')

  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser<Buffer>(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'buffer' },
    (request, body, done) => {
      // Without a body there is nothing to parse; a schema that wants one says so.
      if (body.length === 0) return done(null, undefined)
      if (!isUtf8(body)) return done(new ApiError('malformed_json', { detail: 'The body is not UTF-8.' }))
      if (isDeeperThan(MAX_DEPTH, body)) {
        return done(new ApiError('validation_failed', {
          detail: `The body nests deeper than ${MAX_DEPTH} levels.`,
          members: { errors: [{ path: '', message: `must not nest deeper than ${MAX_DEPTH} levels` }] }
        }))
      }
      return parse(request, body.toString('utf8'), done)
    }
  )
}, { name: 'json-body' })
