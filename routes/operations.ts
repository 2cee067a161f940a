import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Health, Liveness } from '../schemas/health.ts'
import { problems } from '../schemas/responses.ts'
import { Ref, Type, closed } from '../schemas/type.ts'

const tags = ['operations']
const config = { scope: 'public', unlimited: true, urgent: true } as const
const querystring = Type.Object({}, closed)
const text = (type: string, description: string) => ({ description, content: { [type]: { schema: Type.String() } } })
const document = (description: string) => ({
  description, content: { 'application/json': { schema: Type.Record(Type.String(), Type.Unknown(), { description: 'An OpenAPI document.' }) } }
})

/** How the server is, and its description of itself. Public, not limited, without secrets. */
const operations: FastifyPluginAsyncTypebox<{ version: string }> = async (fastify, { version }) => {
  fastify.get('/health', {
    config,
    schema: {
      operationId: 'getHealth',
      summary: 'How the server is; 503 while its store is away or it is going down',
      tags,
      querystring,
      response: { 200: Ref(Health), 503: Ref(Health), ...problems(400) }
    }
  }, async (_request, reply) => {
    const { ready, degraded, checks } = await fastify.checkReadiness()
    const status = ready ? degraded ? 'degraded' : 'ok' : 'unavailable'
    return await reply.code(ready ? 200 : 503).send({ status, version, uptime: process.uptime(), checks })
  })

  fastify.get('/health/live', {
    config,
    schema: {
      operationId: 'getLiveness',
      summary: 'Whether the process answers',
      tags,
      querystring,
      response: { 200: Ref(Liveness), ...problems(400) }
    }
  }, async () => ({ status: 'ok' }))

  fastify.get('/health/ready', {
    config,
    schema: {
      operationId: 'getReadiness',
      summary: 'Whether the server takes requests; 503 while its store is away or it is going down',
      tags,
      querystring,
      response: { 200: Ref(Liveness), 503: Ref(Liveness), ...problems(400) }
    }
  }, async (_request, reply) => {
    const { ready } = await fastify.checkReadiness()
    return await reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'unavailable' })
  })

  fastify.get('/metrics', {
    config,
    schema: {
      operationId: 'getMetrics',
      summary: 'Prometheus metrics',
      tags,
      querystring,
      response: { 200: text('text/plain', 'The exposition format.'), ...problems(400) }
    }
  }, async (_request, reply) => await reply.type(fastify.metrics.contentType).send(await fastify.metrics.metrics()))

  fastify.get('/openapi.json', {
    config,
    schema: {
      operationId: 'getOpenApiJson',
      summary: 'This document, as JSON',
      tags,
      querystring,
      response: { 200: document('OpenAPI 3.1.'), ...problems(400) }
    }
  }, async () => ({ ...fastify.swagger() }))

  fastify.get('/openapi-3.0.json', {
    config,
    schema: {
      operationId: 'getOlderOpenApiJson',
      summary: 'This document, for programs that know OpenAPI 3.0 only',
      description: 'Without the webhooks, for which 3.0 has no place; the components of their events are in it.',
      tags,
      querystring,
      response: { 200: document('OpenAPI 3.0.'), ...problems(400) }
    }
  }, async () => ({ ...fastify.openapi30() }))

  fastify.get('/openapi.yaml', {
    config,
    schema: {
      operationId: 'getOpenApiYaml',
      summary: 'This document, as YAML',
      tags,
      querystring,
      response: { 200: text('application/yaml', 'OpenAPI 3.1.'), ...problems(400) }
    }
  }, async (_request, reply) => await reply.type('application/yaml').send(fastify.swagger({ yaml: true })))
}

export default operations
