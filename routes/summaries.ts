import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { guarded, problems } from '../schemas/responses.ts'
import { Summary } from '../schemas/summary.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['sessions']
const params = Type.Object({ id: Id })

/** Conversations in short. */
const summaryRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { summaries } = fastify

  fastify.post('/api/sessions/:id/summary', {
    config: { scope: ['sessions:write', 'chat'], sends: true, audit: { action: 'session.read', only: 'staff-reads' } },
    schema: {
      operationId: 'summariseSession',
      summary: 'Bring the summary of the active branch up to its newest message',
      description: 'Where nothing was said since the stored summary, that one is the answer. A session in which ' +
        'nothing was said has none: 409.',
      tags,
      params,
      response: { 200: Ref(Summary), ...guarded(), ...problems(402, 404, 409, 413, 415, 502, 504) }
    }
  }, async ({ principal, params }) => await summaries.make(principal, params.id))

  fastify.get('/api/sessions/:id/summary', {
    config: { scope: ['sessions:read', 'chat'], audit: { action: 'session.read', only: 'staff-reads' } },
    schema: {
      operationId: 'getSummary',
      summary: 'Read the stored summary of the active branch',
      tags,
      params,
      response: { 200: Ref(Summary), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await summaries.get(principal, params.id))
}

export default summaryRoutes
