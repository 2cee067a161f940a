import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  DeletedResponse, InputItemsQuery, OpenAiResponse, ResponseEvent, ResponseHeaders, ResponseInput, ResponseInputItems, ResponseQuery
} from '../schemas/openai-response.ts'
import { openAiProblems } from '../schemas/responses.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['openai']
const ofResponse = Type.Object({ id: Type.String({ maxLength: 100, description: 'Of the response.' }) })
const reading = ['sessions:read', 'chat'] as const
const writing = ['sessions:write', 'chat'] as const

const response = {
  200: {
    description: 'The response, or its events.',
    content: { 'application/json': { schema: Ref(OpenAiResponse) }, 'text/event-stream': { schema: Ref(ResponseEvent) } }
  },
  ...openAiProblems(400, 401, 403, 404, 429, 500, 503)
}

/** Replies as responses, by the Open Responses specification. */
const openAiResponses: FastifyPluginAsyncTypebox = async (fastify) => {
  const { responses, storedResponses } = fastify.openai

  fastify.post('/v1/responses', {
    config: { scope: writing, compressed: true },
    schema: {
      operationId: 'createResponse',
      summary: 'Have a chatbot respond',
      description: 'By the Open Responses specification. Each response is a turn of a session, a new one unless it goes on from another response; ' +
        'with `store: false` nothing is stored. A reader that leaves does not cancel what is stored.',
      tags,
      headers: ResponseHeaders,
      body: Ref(ResponseInput),
      response: { ...response, ...openAiProblems(409, 413, 415, 422, 502, 504) }
    }
  }, async (request, reply) => {
    const { principal, body, headers: { 'idempotency-key': idempotencyKey } } = request
    const options = {
      signal: reply.abandoned(),
      onReply: (turn: NonNullable<typeof request.turn>) => { request.turn = turn },
      ...(idempotencyKey !== undefined && { idempotencyKey })
    }
    if (body.stream) return reply.streamTelling(await responses.stream(principal, body, options))
    return await responses.create(principal, body, options)
  })

  fastify.get('/v1/responses/:id', {
    config: { scope: reading, audit: { action: 'response.read', only: 'staff-reads' } },
    exposeHeadRoute: false,
    schema: {
      operationId: 'getResponse',
      summary: 'Read a response, or follow it',
      description: 'The events of a response are the same whenever they are read: who was cut off goes on with `starting_after`, on any server.',
      tags,
      params: ofResponse,
      querystring: ResponseQuery,
      response
    }
  }, async ({ principal, params, query }, reply) => {
    if (query.stream) return reply.streamTelling(await storedResponses.stream(principal, params.id, query.starting_after))
    return await storedResponses.get(principal, params.id)
  })

  fastify.get('/v1/responses/:id/input_items', {
    config: { scope: reading, audit: { action: 'response.read', only: 'staff-reads' } },
    schema: {
      operationId: 'listInputItems',
      summary: 'List what a response was given to',
      description: 'The messages of its own request; those before them are with the responses that it goes on from.',
      tags,
      params: ofResponse,
      querystring: InputItemsQuery,
      response: { 200: Ref(ResponseInputItems), ...openAiProblems(400, 401, 403, 404, 429, 500, 503) }
    }
  }, async ({ principal, params, query }) => await storedResponses.inputItems(principal, params.id, query))

  fastify.post('/v1/responses/:id/cancel', {
    config: { scope: writing, repeatable: true, compressed: true },
    schema: {
      operationId: 'cancelResponse',
      summary: 'Stop a response and keep what there is of it',
      description: 'A response that has ended already is answered as it is.',
      tags,
      params: ofResponse,
      response: { 200: Ref(OpenAiResponse), ...openAiProblems(400, 401, 403, 404, 413, 415, 429, 500, 503) }
    }
  }, async ({ principal, params }) => await storedResponses.cancel(principal, params.id))

  fastify.delete('/v1/responses/:id', {
    config: { scope: writing, audit: { action: 'response.deleted', only: 'others' } },
    schema: {
      operationId: 'deleteResponse',
      summary: 'Erase a response and what it was given to',
      description: 'Where nothing else was said in its session, the session goes with it.',
      tags,
      params: ofResponse,
      response: { 200: Ref(DeletedResponse), ...openAiProblems(400, 401, 403, 404, 409, 413, 415, 429, 500, 503) }
    }
  }, async ({ principal, params }) => await storedResponses.delete(principal, params.id))
}

export default openAiResponses
