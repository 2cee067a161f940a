import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { guarded } from '../schemas/responses.ts'
import { Ref } from '../schemas/type.ts'
import { Usage, UsageQuery } from '../schemas/usage.ts'

/** What models were used for. */
const usageRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { usageReports } = fastify

  fastify.get('/api/usage', {
    config: { scope: 'admin' },
    schema: {
      operationId: 'getUsage',
      summary: 'Sum up what models were used for',
      description: 'Every call of a model counts, also for titles, summaries and drafts, and also where it has failed. What has ' +
        'just ended may be missing for a few seconds.',
      tags: ['usage'],
      querystring: UsageQuery,
      response: { 200: Ref(Usage), ...guarded() }
    }
  }, async ({ principal, query }) => await usageReports.sums(principal.tenantId, query))
}

export default usageRoutes
