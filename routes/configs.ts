import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ChatbotConfig, ChatbotConfigInput, ChatbotConfigPage, ChatbotConfigPatch, ChatbotConfigReplacement } from '../schemas/chatbot-config.ts'
import { IfMatch, etag } from '../schemas/entity-tag.ts'
import { PageQuery } from '../schemas/page.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['configurations']
const params = Type.Object({ id: Id })

/** Configuring chatbots. */
const configs: FastifyPluginAsyncTypebox = async (fastify) => {
  const { chatbots, chat, specifications } = fastify
  const before = async ({ tenantId }: { tenantId: string }, id: string) => await chatbots.get(tenantId, id)

  fastify.post('/api/configs', {
    config: { scope: 'configs:write', idempotent: true, audit: { action: 'config.created' } },
    schema: {
      operationId: 'createConfig',
      summary: 'Configure a chatbot',
      tags,
      body: Ref(ChatbotConfigInput),
      response: { 201: Ref(ChatbotConfig), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, body, resourceId }, reply) => {
    await specifications.expect(principal.tenantId, body.specificationId)
    const created = await chatbots.create(principal.tenantId, body, resourceId)
    return await reply.code(201).headers({ location: `/api/configs/${created.id}`, etag: etag(created.version) }).send(created)
  })

  fastify.get('/api/configs', {
    config: { scope: 'configs:read' },
    schema: {
      operationId: 'listConfigs',
      summary: 'List chatbots, the newest first',
      tags,
      querystring: PageQuery,
      response: { 200: Ref(ChatbotConfigPage), ...guarded() }
    }
  }, async ({ principal, query }) => await chatbots.list(principal.tenantId, query))

  fastify.get('/api/configs/:id', {
    config: { scope: 'configs:read' },
    schema: {
      operationId: 'getConfig',
      summary: 'Read a chatbot\'s configuration',
      tags,
      params,
      headers: Type.Object({
        'if-none-match': Type.Optional(Type.String({ maxLength: 1000, description: 'An ETag you have; 304 while it is current.' }))
      }),
      response: { 200: Ref(ChatbotConfig), 304: NoBody('Not changed.'), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params, headers }, reply) => {
    const found = await chatbots.get(principal.tenantId, params.id)
    reply.header('etag', etag(found.version))
    const known = headers['if-none-match']
    if (known !== undefined && chatbots.isUnchanged(found, known)) return await reply.code(304).send()
    return found
  })

  fastify.put('/api/configs/:id', {
    config: { scope: 'configs:write', audit: { action: 'config.updated', before } },
    schema: {
      operationId: 'replaceConfig',
      summary: 'Replace a chatbot\'s configuration',
      tags,
      params,
      headers: IfMatch,
      body: Ref(ChatbotConfigReplacement),
      response: { 200: Ref(ChatbotConfig), ...guarded(), ...problems(404, 409, 412, 413, 415) }
    }
  }, async ({ principal, params, headers, body }, reply) => {
    const replaced = await chatbots.replace(principal.tenantId, params.id, body, headers['if-match'])
    return await reply.header('etag', etag(replaced.version)).send(replaced)
  })

  fastify.patch('/api/configs/:id', {
    config: { scope: 'configs:write', audit: { action: 'config.updated', before } },
    schema: {
      operationId: 'patchConfig',
      summary: 'Change parts of a chatbot\'s configuration',
      tags,
      params,
      headers: IfMatch,
      body: Ref(ChatbotConfigPatch),
      consumes: ['application/merge-patch+json', 'application/json'],
      response: { 200: Ref(ChatbotConfig), ...guarded(), ...problems(404, 409, 412, 413, 415) }
    }
  }, async ({ principal, params, headers, body }, reply) => {
    const patched = await chatbots.patch(principal.tenantId, params.id, body, headers['if-match'])
    return await reply.header('etag', etag(patched.version)).send(patched)
  })

  fastify.delete('/api/configs/:id', {
    config: { scope: 'configs:write', audit: { action: 'config.deleted', before } },
    schema: {
      operationId: 'deleteConfig',
      summary: 'Delete a chatbot with its sessions and messages',
      tags,
      params,
      response: { 204: NoBody('Deleted.'), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await chat.deleteChatbot(principal, params.id)
    return await reply.code(204).send()
  })
}

export default configs
