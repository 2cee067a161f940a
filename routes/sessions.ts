import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Session, SessionInput, SessionPage, SessionPatch, SessionQuery } from '../schemas/session.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['sessions']
const params = Type.Object({ id: Id })
const reading = ['sessions:read', 'chat'] as const
const writing = ['sessions:write', 'chat'] as const

/** Opening, finding and ending conversations. */
const sessionRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { sessions, chat } = fastify

  fastify.post('/api/sessions', {
    config: { scope: writing, idempotent: true },
    schema: {
      operationId: 'createSession',
      summary: 'Open a session with a chatbot',
      tags,
      body: Ref(SessionInput),
      response: { 201: Ref(Session), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, body, resourceId }, reply) => {
    const created = await sessions.create(principal, body, resourceId)
    return await reply.code(201).header('location', `/api/sessions/${created.id}`).send(created)
  })

  fastify.get('/api/sessions', {
    config: { scope: reading, audit: { action: 'sessions.listed', only: 'staff-reads' } },
    schema: {
      operationId: 'listSessions',
      summary: 'List sessions, the newest activity first',
      tags,
      querystring: SessionQuery,
      response: { 200: Ref(SessionPage), ...guarded() }
    }
  }, async ({ principal, query }) => await sessions.list(principal, query))

  fastify.get('/api/sessions/:id', {
    config: { scope: reading, audit: { action: 'session.read', only: 'staff-reads' } },
    schema: {
      operationId: 'getSession',
      summary: 'Read a session',
      tags,
      params,
      response: { 200: Ref(Session), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await sessions.get(principal, params.id))

  fastify.patch('/api/sessions/:id', {
    config: { scope: writing },
    schema: {
      operationId: 'patchSession',
      summary: 'Change a session\'s title or metadata, end it or open it again',
      tags,
      params,
      body: Ref(SessionPatch),
      response: { 200: Ref(Session), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params, body }) => await sessions.change(principal, params.id, body))

  fastify.delete('/api/sessions/:id', {
    config: { scope: writing, audit: { action: 'session.deleted', only: 'others' } },
    schema: {
      operationId: 'deleteSession',
      summary: 'Delete a session with its messages; a running reply is aborted',
      tags,
      params,
      response: { 204: NoBody('Deleted.'), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await chat.deleteSession(principal, params.id)
    return await reply.code(204).send()
  })
}

export default sessionRoutes
