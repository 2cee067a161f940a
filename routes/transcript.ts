import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { BranchPage } from '../schemas/branch.ts'
import { History, HistoryQuery, Message, MessagePage } from '../schemas/message.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['messages']
const inSession = Type.Object({ id: Id })
const ofMessage = Type.Object({ id: Id, messageId: Id })
const reading = ['sessions:read', 'chat'] as const
const writing = ['sessions:write', 'chat'] as const

/** What was said in a session: reading it and erasing it. */
const transcriptRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { transcript } = fastify.chat

  fastify.get('/api/sessions/:id/messages', {
    config: { scope: reading, audit: { action: 'session.read', only: 'staff-reads' } },
    schema: {
      operationId: 'listMessages',
      summary: 'Read a stretch of the history',
      tags,
      params: inSession,
      querystring: HistoryQuery,
      response: { 200: Ref(History), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params, query }) => await transcript.history(principal, params.id, query))

  fastify.delete('/api/sessions/:id/messages', {
    config: { scope: writing, audit: { action: 'session.cleared', only: 'others' } },
    schema: {
      operationId: 'clearMessages',
      summary: 'Erase all messages of a session',
      description: 'On all branches; a running reply is stopped first. The session goes on with an empty history, and its numbers ' +
        'go on where they were.',
      tags,
      params: inSession,
      response: { 204: NoBody('Erased.'), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await transcript.clear(principal, params.id)
    return await reply.code(204).send()
  })

  fastify.get('/api/sessions/:id/branches', {
    config: { scope: reading, audit: { action: 'session.read', only: 'staff-reads' } },
    schema: {
      operationId: 'listBranches',
      summary: 'List the branches of a session, in the order of their beginning',
      description: 'To go on with another one, set `branchId` of the session. All are on one page.',
      tags,
      params: inSession,
      response: { 200: Ref(BranchPage), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await transcript.branches(principal, params.id))

  fastify.get('/api/sessions/:id/messages/:messageId', {
    config: { scope: reading, audit: { action: 'session.read', only: 'staff-reads' } },
    schema: {
      operationId: 'getMessage',
      summary: 'Read a message',
      tags,
      params: ofMessage,
      response: { 200: Ref(Message), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await transcript.message(principal, params.id, params.messageId))

  fastify.get('/api/sessions/:id/messages/:messageId/variants', {
    config: { scope: reading, audit: { action: 'session.read', only: 'staff-reads' } },
    schema: {
      operationId: 'listVariants',
      summary: 'List what was said at the same place: the message, and what it was edited to or regenerated as',
      description: 'In the order of their beginning, all on one page.',
      tags,
      params: ofMessage,
      response: { 200: Ref(MessagePage), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await transcript.variants(principal, params.id, params.messageId))

  fastify.delete('/api/sessions/:id/messages/:messageId', {
    config: { scope: writing, audit: { action: 'message.deleted', target: 'messageId', only: 'others' } },
    schema: {
      operationId: 'deleteMessage',
      summary: 'Erase a message',
      description: 'Its place stays: the message is `deleted`, without its text, metadata and feedback. A running reply is stopped first.',
      tags,
      params: ofMessage,
      response: { 204: NoBody('Erased.'), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await transcript.erase(principal, params.id, params.messageId)
    return await reply.code(204).send()
  })
}

export default transcriptRoutes
