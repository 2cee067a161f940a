import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type FastifyRequest } from 'fastify'
import { ApiKey, ApiKeyInput, ApiKeyPage, ApiKeyRotation, IssuedApiKey } from '../schemas/api-key.ts'
import { PageQuery } from '../schemas/page.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['credentials']
const params = Type.Object({ id: Id })
const scope = 'admin'

/** Keys for machines. None of these takes an `Idempotency-Key`: an answer that is kept for a repeat would keep the secret in it. */
const apiKeyRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { apiKeys } = fastify
  const before = async ({ tenantId }: FastifyRequest['principal'], id: string) => await apiKeys.get(tenantId, id)

  fastify.post('/api/keys', {
    config: { scope, audit: { action: 'key.created' } },
    schema: {
      operationId: 'createKey',
      summary: 'Make an API key',
      description: 'The key itself is in this answer only.',
      tags,
      body: Ref(ApiKeyInput),
      response: { 201: Ref(IssuedApiKey), ...guarded(), ...problems(409, 413, 415) }
    }
  }, async ({ principal, body }, reply) => {
    const created = await apiKeys.create(principal, body)
    return await reply.code(201).header('location', `/api/keys/${created.id}`).send(created)
  })

  fastify.get('/api/keys', {
    config: { scope },
    schema: {
      operationId: 'listKeys',
      summary: 'List API keys, the newest first',
      tags,
      querystring: PageQuery,
      response: { 200: Ref(ApiKeyPage), ...guarded() }
    }
  }, async ({ principal, query }) => await apiKeys.list(principal.tenantId, query))

  fastify.get('/api/keys/:id', {
    config: { scope },
    schema: {
      operationId: 'getKey',
      summary: 'Read what is kept of an API key',
      tags,
      params,
      response: { 200: Ref(ApiKey), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await apiKeys.get(principal.tenantId, params.id))

  fastify.post('/api/keys/:id/rotate', {
    config: { scope, audit: { action: 'key.rotated', before } },
    schema: {
      operationId: 'rotateKey',
      summary: 'Give an API key another secret',
      description: 'The new key counts at once; the old one counts until the overlap ends.',
      tags,
      params,
      body: Ref(ApiKeyRotation),
      response: { 200: Ref(IssuedApiKey), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params, body }) => await apiKeys.rotate(principal, params.id, body))

  fastify.delete('/api/keys/:id', {
    config: { scope, audit: { action: 'key.revoked', before } },
    schema: {
      operationId: 'revokeKey',
      summary: 'Revoke an API key, and with it the tokens that were made with it',
      description: 'It is refused at once here, and within five seconds on other replicas. What is kept of it stays readable for 90 days.',
      tags,
      params,
      response: { 204: NoBody('Revoked.'), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await apiKeys.revoke(principal, params.id)
    return await reply.code(204).send()
  })
}

export default apiKeyRoutes
