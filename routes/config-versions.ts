import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ChatbotConfig } from '../schemas/chatbot-config.ts'
import { ConfigExport, ConfigImport, MAX_EXPORT_BYTES } from '../schemas/config-export.ts'
import { ConfigDiff, ConfigDiffQuery, ConfigVersion, ConfigVersionPage, RollbackInput, VersionNumber } from '../schemas/config-version.ts'
import { IfMatch, etag } from '../schemas/entity-tag.ts'
import { PageQuery } from '../schemas/page.ts'
import { guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['configurations']
const params = Type.Object({ id: Id })
const versionParams = Type.Object({ id: Id, version: VersionNumber })

/** What configurations were before, and taking them elsewhere. */
const configVersions: FastifyPluginAsyncTypebox = async (fastify) => {
  const { chatbots, chatbotVersions, chatbotTransfer } = fastify
  const before = async ({ tenantId }: { tenantId: string }, id: string) => await chatbots.get(tenantId, id)

  fastify.get('/api/configs/:id/versions', {
    config: { scope: 'configs:read' },
    schema: {
      operationId: 'listConfigVersions',
      summary: 'List the versions of a configuration, the newest first',
      tags,
      params,
      querystring: PageQuery,
      response: { 200: Ref(ConfigVersionPage), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params, query }) => await chatbotVersions.list(principal.tenantId, params.id, query))

  fastify.get('/api/configs/:id/versions/:version', {
    config: { scope: 'configs:read' },
    schema: {
      operationId: 'getConfigVersion',
      summary: 'Read a version of a configuration',
      tags,
      params: versionParams,
      response: { 200: Ref(ConfigVersion), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params: { id, version } }) => await chatbotVersions.get(principal.tenantId, id, version))

  fastify.get('/api/configs/:id/versions/:version/diff', {
    config: { scope: 'configs:read' },
    schema: {
      operationId: 'diffConfigVersions',
      summary: 'Compare a version of a configuration with another one',
      tags,
      params: versionParams,
      querystring: ConfigDiffQuery,
      response: { 200: Ref(ConfigDiff), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params: { id, version }, query }) =>
    await chatbotVersions.diff(principal.tenantId, id, version, query.with))

  fastify.post('/api/configs/:id/rollback', {
    config: { scope: 'configs:write', audit: { action: 'config.rolled-back', before } },
    schema: {
      operationId: 'rollbackConfig',
      summary: 'Make a new version with the settings of an earlier one',
      tags,
      params,
      headers: IfMatch,
      body: Ref(RollbackInput),
      response: { 200: Ref(ChatbotConfig), ...guarded(), ...problems(404, 409, 412, 413, 415) }
    }
  }, async ({ principal, params, headers, body }, reply) => {
    const rolledBack = await chatbots.rollback(principal.tenantId, params.id, body, headers['if-match'])
    return await reply.header('etag', etag(rolledBack.version)).send(rolledBack)
  })

  fastify.get('/api/configs/:id/export', {
    config: { scope: 'configs:read' },
    schema: {
      operationId: 'exportConfig',
      summary: 'Export a configuration with its history as one document',
      tags,
      params,
      response: { 200: Ref(ConfigExport), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params: { id } }, reply) => {
    const document = await chatbotTransfer.export(principal.tenantId, id)
    return await reply.header('content-disposition', `attachment; filename="config-${id}.json"`).send(document)
  })

  fastify.post('/api/configs/import', {
    config: { scope: 'configs:write', idempotent: true, audit: { action: 'config.imported' } },
    bodyLimit: MAX_EXPORT_BYTES,
    preValidation: async ({ body }) => chatbotTransfer.requireFormat(body),
    schema: {
      operationId: 'importConfig',
      summary: 'Make a configuration of an exported document',
      tags,
      body: Ref(ConfigImport),
      response: { 201: Ref(ChatbotConfig), ...guarded(), ...problems(413, 415) }
    }
  }, async ({ principal, body, resourceId }, reply) => {
    const imported = await chatbotTransfer.import(principal.tenantId, body, resourceId)
    return await reply.code(201).headers({ location: `/api/configs/${imported.id}`, etag: etag(imported.version) }).send(imported)
  })
}

export default configVersions
