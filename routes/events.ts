import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { EventsHeaders, SessionEvent, SessionEventsQuery, TenantEvent, TenantEventsQuery } from '../schemas/feed-event.ts'
import { guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['events']

/** Following what happens, in a session or for a tenant. */
const events: FastifyPluginAsyncTypebox = async (fastify) => {
  const { feeds } = fastify

  fastify.get('/api/sessions/:id/events', {
    config: { scope: ['sessions:read', 'chat'], audit: { action: 'session.read', only: 'staff-reads' } },
    exposeHeadRoute: false,
    schema: {
      operationId: 'followSession',
      summary: 'Follow a session',
      description: 'Every message that begins, grows and ends, and every later change, each once and in one order, on whatever ' +
        'server. Without a cursor, from now on: the first event is `feed.started`, and a reply that is being written is told from ' +
        'its beginning. With `Last-Event-ID` or `?cursor=`, what came after that.',
      tags,
      params: Type.Object({ id: Id }),
      querystring: SessionEventsQuery,
      headers: EventsHeaders,
      response: {
        200: { description: 'Its events.', content: { 'text/event-stream': { schema: Ref(SessionEvent) } } },
        ...guarded(),
        ...problems(404)
      }
    }
  }, async (request, reply) => {
    const { principal, params, query, headers } = request
    return reply.streamFeed(await feeds.ofSession(principal, params.id, headers['last-event-id'] ?? query.cursor, request.occurrence()))
  })

  fastify.get('/api/events', {
    config: { scope: 'sessions:read', audit: { action: 'events.followed', only: 'staff-reads' } },
    exposeHeadRoute: false,
    schema: {
      operationId: 'followTenant',
      summary: 'Follow all sessions',
      description: 'Every reply that begins and ends, and every change, in all sessions or in some, each once and in one order, on ' +
        'whatever server, about a second after it happened. Without a cursor, from now on: the first event is `feed.started`. With ' +
        '`Last-Event-ID` or `?cursor=`, what came after that, however long ago that was. For servers; text that is just being ' +
        'written is told by the feeds of sessions.',
      tags,
      querystring: TenantEventsQuery,
      headers: EventsHeaders,
      response: {
        200: { description: 'Their events.', content: { 'text/event-stream': { schema: Ref(TenantEvent) } } },
        ...guarded()
      }
    }
  }, async (request, reply) => {
    const { principal, query, headers } = request
    return reply.streamFeed(await feeds.ofTenant(principal, query, headers['last-event-id'] ?? query.cursor, request.occurrence()))
  })
}

export default events
