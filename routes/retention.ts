import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { guarded, problems } from '../schemas/responses.ts'
import { Retention, RetentionInput } from '../schemas/retention.ts'
import { Ref } from '../schemas/type.ts'

const tags = ['retention']

/** For how long what is kept. */
const retentionRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { retentionRules } = fastify

  fastify.get('/api/retention', {
    config: { scope: 'admin' },
    schema: { operationId: 'getRetention', summary: 'Read for how long the tenant keeps what', tags, response: { 200: Ref(Retention), ...guarded() } }
  }, async ({ principal }) => await retentionRules.read(principal.tenantId))

  fastify.put('/api/retention', {
    config: { scope: 'admin', audit: { action: 'retention.updated', before: async ({ tenantId }) => await retentionRules.read(tenantId) } },
    schema: {
      operationId: 'setRetention',
      summary: 'Set for how long the tenant keeps what',
      description: 'What is older is removed in the background, beginning within five minutes. It cannot be brought back.',
      tags,
      body: Ref(RetentionInput),
      response: { 200: Ref(Retention), ...guarded(), ...problems(413, 415) }
    }
  }, async ({ principal, body }) => await retentionRules.set(principal.tenantId, body))
}

export default retentionRoutes
