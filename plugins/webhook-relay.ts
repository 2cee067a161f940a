import fp from 'fastify-plugin'
import { Relay } from '../src/webhooks/relay.ts'

declare module 'fastify' {
  interface FastifyInstance {
    webhookRelay: Relay
  }
}

/** Sends events on their way that were written with their causes. */
export default fp(async (fastify) => {
  const { store, webhookAudience: audience } = fastify
  const relay = new Relay({
    audience,
    publisher: fastify.webhookPublisher,
    outboxes: [store.sessions, store.chatbots, store.quotaCounters, store.inbound].map(({ outbox }) => outbox),
    log: fastify.trackedLog()
  })
  fastify.decorate('webhookRelay', relay)
  fastify.addHook('onClose', async () => { await relay.close() })
}, { name: 'webhook-relay', dependencies: ['error-tracking', 'mongo', 'webhooks'] })
