import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { EndUserPath, Erasure, ErasurePage } from '../schemas/erasure.ts'
import { PageQuery } from '../schemas/page.ts'
import { guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['end users']

/** Erasing what is kept of end users, and the receipts. */
const erasureRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { erasures } = fastify

  fastify.delete('/api/end-users/:userId', {
    config: { scope: ['sessions:write'], audit: { action: 'erasure.requested' } },
    schema: {
      operationId: 'eraseEndUser',
      summary: 'Erase all that is kept of an end user',
      description: 'Their sessions and messages and whatever belongs to them are gone for every reader when this is ' +
        'answered, and are then removed in the background. While that runs, a repeat is given the same receipt. Of a ' +
        'user who is not known, nothing is removed.',
      tags,
      params: EndUserPath,
      response: { 202: Ref(Erasure), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    const erasure = await erasures.erase(principal, params.userId)
    return await reply.code(202).header('location', `/api/erasures/${erasure.id}`).send(erasure)
  })

  fastify.get('/api/erasures/:id', {
    config: { scope: ['sessions:read', 'sessions:write'] },
    schema: {
      operationId: 'getErasure',
      summary: 'Read the receipt of an erasure',
      tags,
      params: Type.Object({ id: Id }),
      response: { 200: Ref(Erasure), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await erasures.get(principal, params.id))

  fastify.get('/api/erasures', {
    config: { scope: ['sessions:read', 'sessions:write'] },
    schema: {
      operationId: 'listErasures',
      summary: 'List the receipts of erasures, the newest first',
      tags,
      querystring: PageQuery,
      response: { 200: Ref(ErasurePage), ...guarded() }
    }
  }, async ({ principal, query }) => await erasures.list(principal, query))
}

export default erasureRoutes
