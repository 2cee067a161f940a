import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { guarded, problems } from '../schemas/responses.ts'
import { Id } from '../schemas/text.ts'
import { Ref, Type } from '../schemas/type.ts'
import { WebhookDelivery, WebhookTrial, WebhookTrialResult } from '../schemas/webhook.ts'

const tags = ['webhooks in']

/** What became of messages from external channels, or would. */
const webhookTrialRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { webhookTrials, webhookIntake } = fastify

  fastify.post('/api/webhook/verify', {
    config: { scope: ['webhooks:read', 'webhooks:write'] },
    schema: {
      operationId: 'explainWebhook',
      summary: 'Tell what would be made of a signed request',
      description: 'A dry run: says whether the signature would be taken, and if not, why; nothing is done.',
      tags,
      body: Ref(WebhookTrial),
      response: { 200: Ref(WebhookTrialResult), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, body }) => await webhookTrials.explain(principal, body))

  fastify.get('/api/webhook/deliveries/:id', {
    config: { scope: 'webhooks:read' },
    schema: {
      operationId: 'getWebhookDelivery',
      summary: 'Read what became of a message from an external channel',
      tags,
      params: Type.Object({ id: Id }),
      response: { 200: Ref(WebhookDelivery), ...guarded(), ...problems(404) }
    }
  }, async ({ principal, params }) => await webhookIntake.get(principal, params.id))
}

export default webhookTrialRoutes
