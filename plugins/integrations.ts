import { type FastifyError } from 'fastify'
import fp from 'fastify-plugin'
import { WebhookMessage } from '../schemas/webhook.ts'
import { type Config } from '../src/config.ts'
import { Conversations } from '../src/integrations/conversations.ts'
import { type MessageCheck } from '../src/integrations/delivery.ts'
import { InboundTurns } from '../src/integrations/inbound-turns.ts'
import { Intake } from '../src/integrations/intake.ts'
import { Integrations } from '../src/integrations/integrations.ts'
import { Trials } from '../src/integrations/trial.ts'
import { toApiError } from './errors.ts'
import { compileBody } from './validation.ts'

declare module 'fastify' {
  interface FastifyInstance {
    integrations: Integrations
    webhookIntake: Intake
    webhookTrials: Trials
  }
}

/** Messages that come by webhooks. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { store, chatbots, chat, sessions, secrets, limits, activeTenants, webhookRelay, noteRound } = fastify
  const log = fastify.trackedLog()
  const validate = compileBody(WebhookMessage(config.MAX_MESSAGE_CHARS))
  const check: MessageCheck = (value) => {
    if (validate(value)) return value as WebhookMessage
    throw toApiError({ validation: validate.errors, validationContext: 'body' } as FastifyError)
  }
  const integrations = new Integrations({ repository: store.integrations, inbound: store.inbound, conversations: store.conversations, chatbots, secrets })
  const conversations = new Conversations({ conversations: store.conversations, sessions, stored: store.sessions })
  const turns = new InboundTurns({ inbound: store.inbound, conversations, chat, relay: webhookRelay, log, leaseMs: config.TURN_LEASE_MS, onRound: () => noteRound('webhooks in') })
  fastify.decorate('integrations', integrations)
  fastify.decorate('webhookIntake', new Intake({
    integrations, inbound: store.inbound, turns, sessions, chatbots, limits, check, isActiveTenant: async (id) => await activeTenants.get(id)
  }))
  fastify.decorate('webhookTrials', new Trials(integrations, check))
  const resealed = integrations.reencrypt().catch((err: unknown) => log.warn({ err }, 'secrets of integrations could not be sealed with the newest key'))
  // Before the chat that they use.
  fastify.addHook('preClose', async () => {
    await Promise.all([turns.close(), resealed])
  })
}, { name: 'integrations', dependencies: ['error-tracking', 'services', 'secrets', 'limits', 'auth', 'webhook-relay'] })
