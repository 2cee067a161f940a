import fp from 'fastify-plugin'
import { JobWorker } from '../src/jobs/job-worker.ts'
import { reencrypt } from '../src/secrets/reencryption.ts'
import { type TakenDelivery } from '../src/store/webhook-deliveries.ts'
import { Audience } from '../src/webhooks/audience.ts'
import { Deliverer } from '../src/webhooks/deliverer.ts'
import { WebhookPublisher } from '../src/webhooks/publisher.ts'
import { SCHEDULE_MS } from '../src/webhooks/schedule.ts'
import { WebhookDeliveries } from '../src/webhooks/webhook-deliveries.ts'
import { WebhookEndpoints } from '../src/webhooks/webhook-endpoints.ts'
import { webhookMetrics } from './metrics/webhooks.ts'

declare module 'fastify' {
  interface FastifyInstance {
    webhookAudience: Audience
    webhookPublisher: WebhookPublisher
    webhookEndpoints: WebhookEndpoints
    webhookDeliveries: WebhookDeliveries
  }
}

// A tenant has 50 endpoints: if all of them hang, each with the two places of one that is doubted, there is still room.
const PLACES = {
  atOnce: 128, atOncePerOwner: 32, atOncePerGroup: 16, slow: { afterMs: 250, atOnce: 1024, atOncePerOwner: 128 }
}

export interface WebhooksOptions {
  readonly scheduleMs?: readonly number[] | undefined
}

/** Events for programs elsewhere: who wants them, and sending them. */
export default fp<WebhooksOptions>(async (fastify, { scheduleMs = SCHEDULE_MS }) => {
  const { store: { webhookEndpoints: endpoints, webhookDeliveries: deliveries }, bus, outgoing: http, secrets, metrics, noteRound } = fastify
  const log = fastify.trackedLog()
  const audience = new Audience(endpoints, bus, log)
  await audience.refresh()
  fastify.addHook('onClose', async () => { audience.close() })
  let worker: JobWorker<TakenDelivery> | undefined
  const wake = (group: string) => worker?.wake(group)
  const publisher = new WebhookPublisher({ endpoints, deliveries, wake })
  const webhookEndpoints = new WebhookEndpoints({ endpoints, deliveries, audience, http, secrets, log })
  fastify.decorate('webhookAudience', audience)
  fastify.decorate('webhookPublisher', publisher)
  fastify.decorate('webhookEndpoints', webhookEndpoints)
  fastify.decorate('webhookDeliveries', new WebhookDeliveries({ endpoints: webhookEndpoints, deliveries, publisher, wake }))
  // Without keys nothing can be signed; another replica may have them.
  if (!secrets) return
  const onOutcome = webhookMetrics(metrics, async () => await deliveries.backlog())
  const deliverer = new Deliverer({ endpoints, deliveries, http, secrets, log, scheduleMs, onOutcome })
  const working = worker = new JobWorker<TakenDelivery>({
    queue: deliveries,
    run: async (delivery, signal) => await deliverer.deliver(delivery, signal),
    onRound: () => noteRound('webhooks'),
    log,
    name: 'webhooks',
    ...PLACES
  })
  const reencrypted = Promise.all(endpoints.secretFields().map(async (field) => await reencrypt(secrets, field)))
    .catch((err: unknown) => log.warn({ err }, 'not all secrets of webhook endpoints could be sealed with the newest key'))
  fastify.addHook('preClose', async () => {
    await Promise.all([working.close(), reencrypted])
  })
}, { name: 'webhooks', dependencies: ['error-tracking', 'metrics', 'mongo', 'secrets', 'bus', 'outgoing'] })
