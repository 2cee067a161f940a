import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type FastifyRequest } from 'fastify'
import { PageQuery } from '../schemas/page.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'
import {
  IssuedWebhookEndpoint, WebhookEndpoint, WebhookEndpointInput, WebhookEndpointPage, WebhookEndpointPatch, WebhookSecretRotation
} from '../schemas/webhook-endpoint.ts'

const tags = ['webhooks']
const params = Type.Object({ id: Id })
const reading = ['webhooks:read', 'webhooks:write'] as const
const scope = 'webhooks:write'

/** Where events are sent. Those that answer a secret take no `Idempotency-Key`: what is kept for a repeat would keep the secret in it. */
const webhookEndpointRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { webhookEndpoints } = fastify
  const before = async ({ tenantId }: FastifyRequest['principal'], id: string) => await webhookEndpoints.get(tenantId, id)

  fastify.post('/api/webhook-endpoints', {
    config: { scope, audit: { action: 'webhook-endpoint.created' } },
    schema: {
      operationId: 'createWebhookEndpoint',
      summary: 'Have events sent to a URL',
      description: 'The secret that signs them is in this answer only. A URL that may not be reached from here is refused. A tenant has 50 endpoints at most.',
      tags,
      body: Ref(WebhookEndpointInput),
      response: { 201: Ref(IssuedWebhookEndpoint), ...guarded(), ...problems(409, 413, 415) }
    }
  }, async ({ principal, body }, reply) => {
    const created = await webhookEndpoints.create(principal.tenantId, body)
    return await reply.code(201).header('location', `/api/webhook-endpoints/${created.id}`).send(created)
  })

  fastify.get('/api/webhook-endpoints', {
    config: { scope: reading },
    schema: {
      operationId: 'listWebhookEndpoints',
      summary: 'List webhook endpoints, the newest first',
      tags,
      querystring: PageQuery,
      response: { 200: Ref(WebhookEndpointPage), ...guarded() }
    }
  }, async ({ principal, query }) => await webhookEndpoints.list(principal.tenantId, query))

  fastify.get('/api/webhook-endpoints/:id', {
    config: { scope: reading },
    schema: {
      operationId: 'getWebhookEndpoint',
      summary: 'Read a webhook endpoint',
      tags,
      params,
      response: { 200: Ref(WebhookEndpoint), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await webhookEndpoints.get(principal.tenantId, params.id))

  fastify.patch('/api/webhook-endpoints/:id', {
    config: { scope, audit: { action: 'webhook-endpoint.updated', before } },
    schema: {
      operationId: 'patchWebhookEndpoint',
      summary: 'Change a webhook endpoint, disable it or enable it again',
      description: 'What is still to be delivered goes to the new URL. Once disabled, it is not delivered any more.',
      tags,
      params,
      body: Ref(WebhookEndpointPatch),
      consumes: ['application/json', 'application/merge-patch+json'],
      response: { 200: Ref(WebhookEndpoint), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, params, body }) => await webhookEndpoints.change(principal.tenantId, params.id, body))

  fastify.post('/api/webhook-endpoints/:id/rotate', {
    config: { scope, audit: { action: 'webhook-endpoint.rotated', before } },
    schema: {
      operationId: 'rotateWebhookSecret',
      summary: 'Give a webhook endpoint another secret',
      description: 'Until the overlap ends, both secrets sign: `webhook-signature` has a signature of each.',
      tags,
      params,
      body: Ref(WebhookSecretRotation),
      response: { 200: Ref(IssuedWebhookEndpoint), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params, body }) => await webhookEndpoints.rotate(principal.tenantId, params.id, body))

  fastify.delete('/api/webhook-endpoints/:id', {
    config: { scope, audit: { action: 'webhook-endpoint.deleted', before } },
    schema: {
      operationId: 'deleteWebhookEndpoint',
      summary: 'Delete a webhook endpoint with its deliveries',
      tags,
      params,
      response: { 204: NoBody('Deleted.'), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await webhookEndpoints.remove(principal.tenantId, params.id)
    return await reply.code(204).send()
  })
}

export default webhookEndpointRoutes
