import fp from 'fastify-plugin'
import { WebhookPublisher } from '../src/webhooks/publisher.ts'

declare module 'fastify' {
  interface FastifyInstance {
    webhookPublisher: WebhookPublisher
  }
}

/** Events for programs elsewhere. */
export default fp(async (fastify) => {
  const { store } = fastify
  fastify.decorate('webhookPublisher', new WebhookPublisher({
    endpoints: store.webhookEndpoints, deliveries: store.webhookDeliveries, wake: () => {}
  }))
}, { name: 'webhooks', dependencies: ['mongo', 'secrets'] })
