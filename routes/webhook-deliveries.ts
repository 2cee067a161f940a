import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'
import {
  EndpointDelivery, EndpointDeliveryPage, EndpointDeliveryQuery, WebhookRedeliveries, WebhookRedelivery
} from '../schemas/webhook-endpoint.ts'

const tags = ['webhooks']
const params = Type.Object({ id: Id })
const deliveryParams = Type.Object({ id: Id, deliveryId: Id })
const reading = ['webhooks:read', 'webhooks:write'] as const
const scope = 'webhooks:write'

/** What was sent to webhook endpoints, and sending it once more. */
const webhookDeliveryRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { webhookDeliveries } = fastify

  fastify.get('/api/webhook-endpoints/:id/deliveries', {
    config: { scope: reading },
    schema: {
      operationId: 'listEndpointDeliveries',
      summary: 'List what was sent to a webhook endpoint, the newest first',
      description: 'Deliveries are kept for 30 days, without what was sent.',
      tags,
      params,
      querystring: EndpointDeliveryQuery,
      response: { 200: Ref(EndpointDeliveryPage), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params, query }) => await webhookDeliveries.list(principal.tenantId, params.id, query))

  fastify.get('/api/webhook-endpoints/:id/deliveries/:deliveryId', {
    config: { scope: reading },
    schema: {
      operationId: 'getEndpointDelivery',
      summary: 'Read a delivery with its attempts',
      tags,
      params: deliveryParams,
      response: { 200: Ref(EndpointDelivery), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await webhookDeliveries.get(principal.tenantId, params.id, params.deliveryId))

  fastify.post('/api/webhook-endpoints/:id/deliveries/:deliveryId/redeliver', {
    config: { scope, audit: { action: 'webhook-delivery.repeated', target: 'deliveryId' } },
    schema: {
      operationId: 'redeliverEndpointDelivery',
      summary: 'Send a delivery once more',
      description: 'With the same `webhook-id` and the same body, by the same schedule from its beginning on. One that is being sent just now stays as it is.',
      tags,
      params: deliveryParams,
      response: { 202: Ref(EndpointDelivery), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params }, reply) =>
    await reply.code(202).send(await webhookDeliveries.redeliver(principal.tenantId, params.id, params.deliveryId)))

  fastify.post('/api/webhook-endpoints/:id/redeliver', {
    config: { scope, audit: { action: 'webhook-endpoint.redelivered' } },
    schema: {
      operationId: 'redeliverWebhooks',
      summary: 'Send once more what was taken on in a stretch of time',
      description: 'The oldest first, 10,000 at most; they are sent in the background.',
      tags,
      params,
      body: Ref(WebhookRedelivery),
      response: { 202: Ref(WebhookRedeliveries), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params, body }, reply) =>
    await reply.code(202).send(await webhookDeliveries.redeliverBetween(principal.tenantId, params.id, body)))

  fastify.post('/api/webhook-endpoints/:id/test', {
    config: { scope, audit: { action: 'webhook-endpoint.tested' } },
    schema: {
      operationId: 'testWebhookEndpoint',
      summary: 'Send a `webhook.ping` to a webhook endpoint',
      description: 'Whichever events it wants. The answer is the delivery, whose attempts can be read a moment later.',
      tags,
      params,
      response: { 202: Ref(EndpointDelivery), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params }, reply) => await reply.code(202).send(await webhookDeliveries.test(principal.tenantId, params.id)))
}

export default webhookDeliveryRoutes
