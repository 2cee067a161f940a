import rateLimit from '@fastify/rate-limit'
import { type onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Counts a request against its credential's limit. Undefined: the limit is off. */
    limitRate?: onRequestHookHandler
  }
}

// Counters are kept for this many credentials; the ones used longest ago go first.
const MAX_COUNTERS = 50_000

/** A fixed window of 60 s per credential, from its first request; requests without a valid one count per address. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  if (config.RATE_LIMIT_PER_MINUTE === 0) return
  await fastify.register(rateLimit, {
    global: false,
    max: config.RATE_LIMIT_PER_MINUTE,
    timeWindow: 60_000,
    cache: MAX_COUNTERS,
    enableDraftSpec: true,
    keyGenerator: ({ caller, ip }) => caller?.credential ?? `address:${ip}`,
    errorResponseBuilder: (_request, { max }) =>
      new ApiError('rate_limited', { detail: `More than ${max} requests in a minute.` })
  })
  fastify.decorate('limitRate', fastify.rateLimit() as onRequestHookHandler)
}, { name: 'rate-limit' })
