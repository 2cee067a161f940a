import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type FastifyReply } from 'fastify'
import { CreationHeaders } from '../schemas/idempotency.ts'
import { guarded, open, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'
import { WebhookHandshakeQuery, WebhookMessage, WebhookOutcome, WebhookQuery, WebhookReceipt } from '../schemas/webhook.ts'

const tags = ['webhooks in']
const ofIntegration = Type.Object({ integrationId: { ...Id, description: 'The integration.' } })

const response = { 200: Ref(WebhookOutcome), 202: Ref(WebhookReceipt), ...guarded(), ...problems(402, 404, 409, 413, 415, 502, 504) }

const repeats = 'A delivery that comes again is answered as before, with `idempotency-replayed`, and does nothing more; deliveries are told apart ' +
  'for 30 days. Messages of one user are answered in the order in which they came, in a session that goes on until it is ended or idle for long. '

/** Where messages from external channels come in. */
const webhookRoutes: FastifyPluginAsyncTypebox<{ maxMessageChars: number }> = async (fastify, { maxMessageChars }) => {
  const { webhookIntake } = fastify
  type Answer = Awaited<ReturnType<typeof webhookIntake.receiveSigned>>
  // What the body says is checked when it is known who says it.
  const checkedBody = Ref(WebhookMessage(maxMessageChars))

  // Signatures are of the bytes as they came, whatever the sender calls them.
  fastify.removeAllContentTypeParsers()
  fastify.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (_request, body, done) => { done(null, body) })

  const bytesOf = (body: unknown) => Buffer.isBuffer(body) ? body : Buffer.alloc(0)

  async function send (answer: Answer, reply: FastifyReply) {
    if (answer.replayed) reply.header('idempotency-replayed', 'true')
    if ('outcome' in answer) return answer.outcome
    return await reply.code(202).header('location', `/api/webhook/deliveries/${answer.receipt.id}`).send(answer.receipt)
  }

  fastify.post('/api/webhook/:integrationId', {
    config: { scope: 'public', unlimited: true, checkedBody },
    schema: {
      operationId: 'receiveWebhook',
      summary: 'Take a message from the sender of an integration',
      description: 'The sender proves itself by a signature, in the way that the integration says; a wrong one is answered 401 without a reason ' +
        '(`POST /api/webhook/verify` has it). The body is JSON, of whatever type: a `WebhookMessage`, or what the integration\'s mapping finds one in.\n\n' +
        'Answers 202 as soon as the message is stored, and the reply is told by the event `message.completed`; or, with `wait`, 200 with the reply. ' +
        repeats + 'Slack\'s `url_verification` and GitHub\'s `ping` are answered as they expect.',
      tags,
      params: ofIntegration,
      querystring: WebhookQuery,
      response
    }
  }, async ({ params, query, headers, body, ip }, reply) =>
    await send(await webhookIntake.receiveSigned(params.integrationId, { headers, body: bytesOf(body) }, ip, query.wait), reply))

  fastify.post('/api/webhook', {
    config: { scope: 'chat', orSigned: true, checkedBody },
    schema: {
      operationId: 'receiveMessage',
      summary: 'Take a message from an external channel, with a credential or a signature',
      description: 'For senders that can set a bearer token and no signature: the body names the configuration (`configId`), and an API key speaks for any ' +
        'user; a JWT without `sessions:write` only for its own. Without a credential, the body names an integration (`integrationId`) and the request is ' +
        'signed as that says.\n\n' + repeats +
        'With a credential, deliveries are told apart by the `Idempotency-Key` or by `externalMessageId`; without either, each is new.',
      tags,
      headers: CreationHeaders,
      querystring: WebhookQuery,
      response: { ...response, ...problems(422) }
    }
  }, async ({ caller, query, headers, body, ip }, reply) => {
    const bytes = bytesOf(body)
    return await send(caller
      ? await webhookIntake.receiveFrom(caller, bytes, headers['idempotency-key'], query.wait)
      : await webhookIntake.receiveSignedByNamed({ headers, body: bytes }, ip, query.wait), reply)
  })

  fastify.get('/api/webhook/:integrationId', {
    config: { scope: 'public', unlimited: true },
    exposeHeadRoute: false,
    schema: {
      operationId: 'verifyWebhookAddress',
      summary: 'Answer Meta\'s question whether the address is right',
      description: 'Sends the challenge back where the verify token is that of the integration; else 401.',
      tags,
      params: ofIntegration,
      querystring: WebhookHandshakeQuery,
      response: {
        200: { description: 'The challenge.', content: { 'text/plain': { schema: Type.String({ description: 'The challenge.' }) } } },
        ...open(),
        ...problems(401, 404)
      }
    }
  }, async ({ params, query, ip }, reply) => {
    const { 'hub.mode': mode, 'hub.verify_token': token, 'hub.challenge': challenge } = query
    const answer = await webhookIntake.shakeHands(params.integrationId, mode, token, challenge, ip)
    return await reply.type('text/plain').send(answer)
  })
}

export default webhookRoutes
