import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { FeedbackInput, FeedbackQuery } from '../schemas/feedback.ts'
import { Message, RatedMessagePage } from '../schemas/message.ts'
import { NoBody, guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['feedback']
const ofMessage = Type.Object({ id: Id, messageId: Id })

/** What readers think of replies. */
const feedbackRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { transcript } = fastify.chat

  fastify.put('/api/sessions/:id/messages/:messageId/feedback', {
    config: { scope: ['sessions:write', 'chat'] },
    schema: {
      operationId: 'rateMessage',
      summary: 'Rate a reply',
      description: 'Takes the place of an earlier rating. A message of the user cannot be rated (409 `conflict`).',
      tags,
      params: ofMessage,
      body: Ref(FeedbackInput),
      response: { 200: Ref(Message), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params, body }) => await transcript.rate(principal, params.id, params.messageId, body))

  fastify.delete('/api/sessions/:id/messages/:messageId/feedback', {
    config: { scope: ['sessions:write', 'chat'] },
    schema: {
      operationId: 'unrateMessage',
      summary: 'Take a rating back',
      tags,
      params: ofMessage,
      response: { 204: NoBody('Taken back.'), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params }, reply) => {
    await transcript.rate(principal, params.id, params.messageId, null)
    return await reply.code(204).send()
  })

  fastify.get('/api/feedback', {
    config: { scope: ['sessions:read', 'chat'], audit: { action: 'feedback.listed', only: 'staff-reads' } },
    schema: {
      operationId: 'listFeedback',
      summary: 'List rated replies, the newest rating first',
      tags,
      querystring: FeedbackQuery,
      response: { 200: Ref(RatedMessagePage), ...guarded() }
    }
  }, async ({ principal, query }) => await transcript.ratings(principal, query))
}

export default feedbackRoutes
