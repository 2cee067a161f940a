import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { PageQuery } from '../schemas/page.ts'
import { guarded, problems } from '../schemas/responses.ts'
import { Specification, SpecificationInput, SpecificationPage } from '../schemas/specification.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['specifications']

/** Having configurations drafted from briefs. */
const specificationRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { specifications } = fastify

  fastify.post('/api/specifications', {
    config: { scope: 'configs:write', idempotent: true, compressed: true },
    schema: {
      operationId: 'createSpecification',
      summary: 'Have a configuration drafted from a brief',
      description: 'The brief is kept, whatever becomes of the draft: where the model fails, the problem names the ' +
        'specification in `specificationId`, and the same request with the same `Idempotency-Key` tries again. ' +
        'Without a model, the draft is made by rules.',
      tags,
      body: Ref(SpecificationInput),
      response: { 201: Ref(Specification), ...guarded(), ...problems(402, 413, 415, 502, 504) }
    }
  }, async ({ principal, body, resourceId }, reply) => {
    const created = await specifications.create(principal, body, resourceId)
    return await reply.code(201).header('location', `/api/specifications/${created.id}`).send(created)
  })

  fastify.get('/api/specifications', {
    config: { scope: 'configs:read' },
    schema: {
      operationId: 'listSpecifications',
      summary: 'List specifications, the newest first',
      tags,
      querystring: PageQuery,
      response: { 200: Ref(SpecificationPage), ...guarded() }
    }
  }, async ({ principal, query }) => await specifications.list(principal.tenantId, query))

  fastify.get('/api/specifications/:id', {
    config: { scope: 'configs:read' },
    schema: {
      operationId: 'getSpecification',
      summary: 'Read a specification',
      tags,
      params: Type.Object({ id: Id }),
      response: { 200: Ref(Specification), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await specifications.get(principal.tenantId, params.id))
}

export default specificationRoutes
