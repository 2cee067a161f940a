import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type FastifyRequest } from 'fastify'
import { LegalHold, LegalHoldInput, LegalHoldPage, LegalHoldQuery } from '../schemas/legal-hold.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['retention']
const params = Type.Object({ id: Id })
const scope = 'admin'

/** Orders to keep conversations. */
const legalHoldRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { legalHolds } = fastify
  const before = async ({ tenantId }: FastifyRequest['principal'], id: string) => await legalHolds.get(tenantId, id)

  fastify.post('/api/legal-holds', {
    config: { scope, idempotent: true, audit: { action: 'legal-hold.set' } },
    schema: {
      operationId: 'createLegalHold',
      summary: 'Keep conversations, whatever would remove them',
      description: 'When this is answered, what the hold is about is there and stays: neither the retention of the tenant nor a ' +
        'deletion nor an erasure removes it, on any replica. These are answered with 409 `legal_hold`. What was deleted before is not brought back.',
      tags,
      body: Ref(LegalHoldInput),
      response: { 201: Ref(LegalHold), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, body, resourceId }, reply) => {
    const created = await legalHolds.create(principal, body, resourceId)
    return await reply.code(201).header('location', `/api/legal-holds/${created.id}`).send(created)
  })

  fastify.get('/api/legal-holds', {
    config: { scope },
    schema: {
      operationId: 'listLegalHolds',
      summary: 'List legal holds, the newest first',
      description: 'Those that were lifted are among them.',
      tags,
      querystring: LegalHoldQuery,
      response: { 200: Ref(LegalHoldPage), ...guarded() }
    }
  }, async ({ principal, query }) => await legalHolds.list(principal.tenantId, query))

  fastify.get('/api/legal-holds/:id', {
    config: { scope },
    schema: {
      operationId: 'getLegalHold',
      summary: 'Read a legal hold',
      tags,
      params,
      response: { 200: Ref(LegalHold), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await legalHolds.get(principal.tenantId, params.id))

  fastify.delete('/api/legal-holds/:id', {
    config: { scope, audit: { action: 'legal-hold.lifted', before } },
    schema: {
      operationId: 'liftLegalHold',
      summary: 'Lift a legal hold',
      description: 'What was kept because of it may be removed again; what the retention of the tenant no longer keeps goes with its next run. The hold stays readable.',
      tags,
      params,
      response: { 204: NoBody('Lifted.'), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await legalHolds.lift(principal, params.id)
    return await reply.code(204).send()
  })
}

export default legalHoldRoutes
