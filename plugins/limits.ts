import { normalizeIP } from '@fastify/rate-limit'
import fp from 'fastify-plugin'
import { Counter } from 'prom-client'
import { type Config } from '../src/config.ts'
import { Limits } from '../src/limits/limits.ts'

declare module 'fastify' {
  interface FastifyInstance {
    limits: Limits
  }
}

/** What is counted, and how much of it is allowed. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const refusals = new Counter({
    name: 'rate_limit_refusals_total',
    help: 'Requests refused with 429, by the limit that refused them.',
    labelNames: ['limit'],
    registers: [fastify.metrics]
  })
  fastify.decorate('limits', new Limits({
    config,
    normalizeAddress: (address) => normalizeIP(address),
    onRefused: (limit) => { refusals.inc({ limit }) }
  }))
}, { name: 'limits', dependencies: ['mongo', 'metrics'] })
