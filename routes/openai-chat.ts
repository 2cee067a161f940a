import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ChatCompletion, ChatCompletionChunk, ChatCompletionHeaders, ChatCompletionInput } from '../schemas/openai-chat.ts'
import { openAiProblems } from '../schemas/responses.ts'
import { Ref } from '../schemas/type.ts'

/** Talking to a chatbot as OpenAI's clients do. */
const openAiChat: FastifyPluginAsyncTypebox = async (fastify) => {
  const { completions } = fastify.openai

  fastify.post('/v1/chat/completions', {
    config: { scope: ['sessions:write', 'chat'], compressed: true },
    schema: {
      operationId: 'createChatCompletion',
      summary: 'Have a conversation go on',
      description: 'As OpenAI\'s operation of this name. The messages are the conversation, and nothing of it is stored; when the client ' +
        'leaves, the reply is not written any further. With `x-session-id`, the last message of the user is sent to that session instead.',
      tags: ['openai'],
      headers: ChatCompletionHeaders,
      body: Ref(ChatCompletionInput),
      response: {
        200: {
          description: 'The reply, or its events.',
          content: { 'application/json': { schema: Ref(ChatCompletion) }, 'text/event-stream': { schema: Ref(ChatCompletionChunk) } }
        },
        ...openAiProblems(400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504)
      }
    }
  }, async (request, reply) => {
    const { principal, body, headers } = request
    const { 'x-session-id': sessionId, 'idempotency-key': idempotencyKey } = headers
    const options = {
      signal: reply.abandoned(),
      onReply: (turn: NonNullable<typeof request.turn>) => { request.turn = turn },
      ...(sessionId !== undefined && { sessionId }),
      ...(idempotencyKey !== undefined && { idempotencyKey })
    }
    if (body.stream) return reply.streamTelling(await completions.stream(principal, body, options))
    return await completions.complete(principal, body, options)
  })
}

export default openAiChat
