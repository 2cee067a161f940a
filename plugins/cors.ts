import cors, { type FastifyCorsOptions } from '@fastify/cors'
import { type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'

const exposedHeaders = [
  'x-request-id', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset', 'retry-after', 'location', 'etag', 'idempotency-replayed'
]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/** Lets pages of the listed origins call this API; with no origin listed there are no CORS headers at all. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  if (config.CORS_ORIGINS === '') return
  const origin = config.CORS_ORIGINS.split(',').map((text) => text.trim())

  // An OPTIONS that is no preflight is a method like any other, not an answer of the library in plain text.
  const optionsFor = async ({ headers, url }: FastifyRequest): Promise<FastifyCorsOptions> => ({
    origin,
    // For the cookie of a refresh token, which goes nowhere else.
    credentials: url.startsWith('/api/auth/'),
    methods,
    exposedHeaders,
    preflight: headers.origin !== undefined && headers['access-control-request-method'] !== undefined
  })
  await fastify.register(cors, () => optionsFor)
}, { name: 'cors' })
