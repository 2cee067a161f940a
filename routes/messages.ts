import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type FastifyReply } from 'fastify'
import { MessageEvent } from '../schemas/message-event.ts'
import { Accepted, Exchange, Message, MessageInput, SendHeaders, SendQuery, StreamHeaders, StreamQuery } from '../schemas/message.ts'
import { guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type, type Static } from '../schemas/type.ts'

const tags = ['messages']
const inSession = Type.Object({ id: Id })
const ofMessage = Type.Object({ id: Id, messageId: Id })
const reading = ['sessions:read', 'chat'] as const
const writing = ['sessions:write', 'chat'] as const

const wantsEvents = (accept: string | undefined) => /(^|,)\s*text\/event-stream\s*(,|;|$)/i.test(accept ?? '')
const wantsNoWait = (prefer: string | undefined) => /(^|,)\s*respond-async\s*(,|;|$)/i.test(prefer ?? '')

interface Wish {
  readonly params: Static<typeof inSession>
  readonly query: Static<typeof SendQuery>
  readonly headers: Static<typeof SendHeaders> & { accept?: string }
}

const response = {
  200: {
    description: 'The reply, or its events.',
    content: { 'application/json': { schema: Ref(Exchange) }, 'text/event-stream': { schema: Ref(MessageEvent) } }
  },
  202: { description: 'The turn has begun.', content: { 'application/json': { schema: Ref(Accepted) } } },
  ...guarded(),
  ...problems(402, 404, 409, 413, 415, 422, 502, 504)
}

/** Talking to a chatbot. */
const messages: FastifyPluginAsyncTypebox<{ maxMessageChars: number }> = async (fastify, { maxMessageChars }) => {
  const { chat } = fastify
  type Sent = Awaited<ReturnType<typeof chat.send>>

  /** How the reply is wanted: whole, as events, or later. */
  function asWanted ({ params, query, headers }: Wish, reply: FastifyReply) {
    const asEvents = wantsEvents(headers.accept)
    const isAsync = !asEvents && wantsNoWait(headers.prefer)
    const options = { idempotencyKey: headers['idempotency-key'], onBusy: query.onBusy, stream: asEvents || isAsync }
    async function answer (sent: Sent) {
      if (sent.replayed) reply.header('idempotency-replayed', 'true')
      else reply.request.turn = sent.reply
      if (asEvents) return reply.streamMessage(sent.reply, { begin: sent.userMessage })
      if (!isAsync) return await chat.exchange(sent)
      const accepted = chat.accepted(sent)
      reply.code(202).header('preference-applied', 'respond-async')
      reply.header('location', `/api/sessions/${params.id}/messages/${accepted.botMessage.id}`)
      return accepted
    }
    return { options, answer }
  }

  fastify.post('/api/sessions/:id/messages', {
    config: { scope: writing, sends: true, compressed: true },
    schema: {
      operationId: 'sendMessage',
      summary: 'Send a message and get the reply',
      description: 'Answers with the whole reply, or, to `Accept: text/event-stream`, with its events as it is written. A reader ' +
        'that leaves does not cancel the reply. When a model fails, the messages of the turn are in the problem.\n\n' +
        'To `Prefer: respond-async` it answers 202 as soon as the turn has begun; follow the reply at `location`, or at its ' +
        '`/stream`. Repeated with its `Idempotency-Key`, such a send answers 202 again with the messages as they are then: ' +
        'while the reply is written, and after it has ended. A reply that ended `failed` or `interrupted` is begun anew.',
      tags,
      params: inSession,
      querystring: SendQuery,
      headers: SendHeaders,
      body: Ref(MessageInput(maxMessageChars)),
      response
    }
  }, async (request, reply) => {
    const { principal, params, body } = request
    const { options, answer } = asWanted(request, reply)
    return await answer(await chat.send(principal, params.id, body, options))
  })

  fastify.put('/api/sessions/:id/messages/:messageId', {
    config: { scope: writing, sends: true, compressed: true },
    schema: {
      operationId: 'editMessage',
      summary: 'Say something else than an earlier message did',
      description: 'Begins a branch: the session goes on from before the message that is edited, with a new message in its place, ' +
        'and replies to that. What was said before stays readable on its own branch. Answers as a send does.',
      tags,
      params: ofMessage,
      querystring: SendQuery,
      headers: SendHeaders,
      body: Ref(MessageInput(maxMessageChars)),
      response
    }
  }, async (request, reply) => {
    const { principal, params, body } = request
    const { options, answer } = asWanted(request, reply)
    return await answer(await chat.edit(principal, params.id, params.messageId, body, options))
  })

  fastify.post('/api/sessions/:id/messages/:messageId/regenerate', {
    config: { scope: writing, sends: true, compressed: true },
    schema: {
      operationId: 'regenerateMessage',
      summary: 'Have another reply to the same message',
      description: 'Takes a reply, or the message of the user that it answers. Begins a branch: the session goes on with the new ' +
        'reply, and the earlier ones stay readable as its variants. Answers as a send does.',
      tags,
      params: ofMessage,
      querystring: SendQuery,
      headers: SendHeaders,
      response
    }
  }, async (request, reply) => {
    const { principal, params } = request
    const { options, answer } = asWanted(request, reply)
    return await answer(await chat.regenerate(principal, params.id, params.messageId, options))
  })

  fastify.get('/api/sessions/:id/messages/:messageId/stream', {
    config: { scope: reading, audit: { action: 'session.read', only: 'staff-reads' } },
    exposeHeadRoute: false,
    schema: {
      operationId: 'streamMessage',
      summary: 'Follow a message from any point on',
      description: 'The rest of the message as events, live while it grows; a finished message gives its rest and its end at once.',
      tags,
      params: ofMessage,
      querystring: StreamQuery,
      headers: StreamHeaders,
      response: {
        200: { description: 'Its events.', content: { 'text/event-stream': { schema: Ref(MessageEvent) } } },
        ...guarded(),
        ...problems(404)
      }
    }
  }, async ({ principal, params, query, headers }, reply) => {
    const followed = await chat.follow(principal, params.id, params.messageId)
    return reply.streamMessage(followed, { lastEventId: headers['last-event-id'], offset: query.offset })
  })

  fastify.post('/api/sessions/:id/messages/:messageId/stop', {
    config: { scope: writing, repeatable: true, compressed: true },
    schema: {
      operationId: 'stopMessage',
      summary: 'Stop a running reply and keep what there is of it',
      description: 'A message that has ended already is answered as it is.',
      tags,
      params: ofMessage,
      response: { 200: Ref(Message), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ principal, params }) => await chat.stop(principal, params.id, params.messageId))
}

export default messages
