import fp from 'fastify-plugin'
import { Audience } from '../src/webhooks/audience.ts'
import { Relay } from '../src/webhooks/relay.ts'

declare module 'fastify' {
  interface FastifyInstance {
    webhookAudience: Audience
    webhookRelay: Relay
  }
}

/** Sends events on their way that were written with their causes. */
export default fp(async (fastify) => {
  const { store, bus, log } = fastify
  const audience = new Audience(store.webhookEndpoints, bus, log)
  await audience.refresh()
  const relay = new Relay({
    audience,
    publisher: fastify.webhookPublisher,
    outboxes: [store.sessions, store.chatbots, store.quotaCounters, store.inbound].map(({ outbox }) => outbox),
    log
  })
  fastify.decorate('webhookAudience', audience)
  fastify.decorate('webhookRelay', relay)
  fastify.addHook('onClose', async () => {
    audience.close()
    await relay.close()
  })
}, { name: 'webhook-relay', dependencies: ['mongo', 'bus', 'webhooks'] })
