import { type RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { Type, closed } from '../schemas/type.ts'
import { ApiError } from '../src/errors.ts'

const NoQuery = Type.Object({}, closed)

function isWellFormed (query: string): boolean {
  try {
    decodeURIComponent(query)
    return true
  } catch {
    return false
  }
}

/** Queries are closed: a route that declares none takes none, and a query that does not decode is refused. */
export default fp(async (fastify) => {
  fastify.addHook('onRoute', (route: RouteOptions) => {
    route.schema = { querystring: NoQuery, ...route.schema }
  })

  // The parser takes what does not decode as it stands, and would look for "%ff" where "ÿ" in another encoding was meant.
  fastify.addHook('preValidation', ({ url }, _reply, done) => {
    const start = url.indexOf('?')
    if (start === -1 || isWellFormed(url.slice(start))) return done()
    done(new ApiError('validation_failed', {
      detail: 'The query is not percent-encoded UTF-8.',
      members: { errors: [{ path: '', message: 'must be percent-encoded UTF-8' }] }
    }))
  })
}, { name: 'query' })
