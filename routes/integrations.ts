import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type FastifyRequest } from 'fastify'
import { Integration, IntegrationInput, IntegrationPage, IntegrationPatch, IntegrationRotation, IssuedIntegration } from '../schemas/integration.ts'
import { PageQuery } from '../schemas/page.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['integrations']
const params = Type.Object({ id: Id })
const [reading, writing] = ['webhooks:read', 'webhooks:write'] as const

/** Senders of webhooks. None of these takes an `Idempotency-Key`: an answer that is kept for a repeat would keep the secret in it. */
const integrationRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { integrations } = fastify
  const before = async ({ tenantId }: FastifyRequest['principal'], id: string) => await integrations.get(tenantId, id)

  fastify.post('/api/integrations', {
    config: { scope: writing, audit: { action: 'integration.created' } },
    schema: {
      operationId: 'createIntegration',
      summary: 'Let a sender of webhooks in',
      description: 'The secret is in this answer only. A tenant has at most 100 integrations.',
      tags,
      body: Ref(IntegrationInput),
      response: { 201: Ref(IssuedIntegration), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, body }, reply) => {
    const created = await integrations.create(principal, body)
    return await reply.code(201).header('location', `/api/integrations/${created.id}`).send(created)
  })

  fastify.get('/api/integrations', {
    config: { scope: reading },
    schema: {
      operationId: 'listIntegrations',
      summary: 'List integrations, the newest first',
      tags,
      querystring: PageQuery,
      response: { 200: Ref(IntegrationPage), ...guarded() }
    }
  }, async ({ principal, query }) => await integrations.list(principal.tenantId, query))

  fastify.get('/api/integrations/:id', {
    config: { scope: reading },
    schema: {
      operationId: 'getIntegration',
      summary: 'Read an integration',
      tags,
      params,
      response: { 200: Ref(Integration), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await integrations.get(principal.tenantId, params.id))

  fastify.patch('/api/integrations/:id', {
    config: { scope: writing, audit: { action: 'integration.updated', before } },
    schema: {
      operationId: 'patchIntegration',
      summary: 'Change an integration',
      description: 'It counts at once here, and within five seconds on other replicas.',
      tags,
      params,
      body: Ref(IntegrationPatch),
      response: { 200: Ref(Integration), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, params, body }) => await integrations.change(principal, params.id, body))

  fastify.post('/api/integrations/:id/rotate', {
    config: { scope: writing, audit: { action: 'integration.rotated', before } },
    schema: {
      operationId: 'rotateIntegration',
      summary: 'Give an integration another secret',
      description: 'The new secret counts at once, and is in this answer only; the one before it counts until the overlap ends.',
      tags,
      params,
      body: Ref(IntegrationRotation),
      response: { 200: Ref(IssuedIntegration), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params, body }) => await integrations.rotate(principal, params.id, body))

  fastify.delete('/api/integrations/:id', {
    config: { scope: writing, audit: { action: 'integration.deleted', before } },
    schema: {
      operationId: 'deleteIntegration',
      summary: 'Let a sender of webhooks in no more',
      description: 'Messages that are not answered yet are dropped; the conversations stay.',
      tags,
      params,
      response: { 204: NoBody('Deleted.'), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await integrations.delete(principal, params.id)
    return await reply.code(204).send()
  })
}

export default integrationRoutes
