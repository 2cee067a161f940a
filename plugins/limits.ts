import { normalizeIP } from '@fastify/rate-limit'
import { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Counter } from 'prom-client'
import { type Config } from '../src/config.ts'
import { type Counters } from '../src/limits/counters.ts'
import { Limits } from '../src/limits/limits.ts'
import { RedisCounters } from '../src/limits/redis-counters.ts'

declare module 'fastify' {
  interface FastifyInstance {
    limits: Limits
  }
}

/** Where all processes count together. Undefined: each counts for itself. */
async function sharedCounters (fastify: FastifyInstance, config: Config): Promise<Counters | undefined> {
  const { MONGODB_URI, MONGODB_DATABASE, REDIS_URL, RATE_LIMIT_STORE = MONGODB_URI === undefined ? 'memory' : 'mongo' } = config
  if (RATE_LIMIT_STORE === 'memory') return undefined
  if (RATE_LIMIT_STORE === 'mongo') return fastify.store.counters
  const counters = new RedisCounters(REDIS_URL!, MONGODB_DATABASE, fastify.log)
  fastify.addHook('onClose', async () => counters.close())
  await counters.opened()
  return counters
}

/** What is counted, and how much of it is allowed. */
export default fp<{ config: Config, windowMs: number | undefined }>(async (fastify, { config, windowMs }) => {
  const refusals = new Counter({
    name: 'rate_limit_refusals_total',
    help: 'Requests refused with 429, by the limit that refused them.',
    labelNames: ['limit'],
    registers: [fastify.metrics]
  })
  fastify.decorate('limits', new Limits({
    config,
    shared: await sharedCounters(fastify, config),
    normalizeAddress: (address) => normalizeIP(address),
    onRefused: (limit) => { refusals.inc({ limit }) },
    log: fastify.log,
    windowMs
  }))
}, { name: 'limits', dependencies: ['mongo', 'metrics'] })
