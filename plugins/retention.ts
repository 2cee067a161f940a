import fp from 'fastify-plugin'
import { Ageing } from '../src/retention/ageing.ts'
import { LegalHolds } from '../src/retention/legal-holds.ts'
import { Retention } from '../src/retention/retention.ts'
import { RetentionRules } from '../src/retention/rules.ts'
import { retentionMetrics } from './metrics/retention.ts'

declare module 'fastify' {
  interface FastifyInstance {
    retention: Retention
    retentionRules: RetentionRules
    legalHolds: LegalHolds
  }
}

/** For how long what is kept, and what must be. */
export default fp(async (fastify) => {
  const { store, sessions, chat, removalGuard: guard, sessionChanges: changes } = fastify
  const retention = new Retention({
    store,
    guard,
    ageing: new Ageing({ ...store, changes, guard }),
    purge: async () => await chat.purge(),
    now: async () => await store.now(),
    onRemoved: retentionMetrics(fastify.metrics),
    onRound: () => fastify.noteRound('retention'),
    log: fastify.trackedLog()
  })
  fastify.decorate('retention', retention)
  fastify.decorate('retentionRules', new RetentionRules(store.retentionSettings))
  fastify.decorate('legalHolds', new LegalHolds({ ...store, sessions }))
  fastify.addHook('preClose', async () => { await retention.close() })
}, { name: 'retention', dependencies: ['error-tracking', 'metrics', 'mongo', 'services'] })
