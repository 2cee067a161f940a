import { hash } from 'node:crypto'
import { type WebhookDelivery, type WebhookOutcome, type WebhookReceipt } from '../../schemas/webhook.ts'
import { covers, type Principal } from '../auth/principal.ts'
import { type Chatbots } from '../chatbots/chatbots.ts'
import { ApiError } from '../errors.ts'
import { type Limits } from '../limits/limits.ts'
import { type Sessions } from '../sessions/sessions.ts'
import { newId } from '../store/ids.ts'
import { type InboundMessage as StoredMessage, type InboundMessageRepository } from '../store/inbound-messages.ts'
import { type Delivery, type InboundMessage, type MessageCheck, readDelivery } from './delivery.ts'
import { type InboundTurns } from './inbound-turns.ts'
import { type Integrations, type OpenIntegration, secretsAt } from './integrations.ts'
import { parseJson } from './json-text.ts'
import { resolvePointer } from './json-pointer.ts'
import { schemeOf } from './signatures/schemes.ts'
import { type SignedRequest } from './signatures/signed-request.ts'
import { isSame, verify } from './signatures/verify.ts'

const WAIT_MS = 25_000
const DEFAULT_IDLE_MINUTES = 1440

/** What is answered: the reply, or that it is being made. */
export type Answer = ({ readonly outcome: WebhookOutcome } | { readonly receipt: WebhookReceipt }) & { readonly replayed: boolean }

interface Dependencies {
  readonly integrations: Integrations
  readonly inbound: InboundMessageRepository
  readonly turns: InboundTurns
  readonly sessions: Sessions
  readonly chatbots: Chatbots
  readonly limits: Limits
  readonly isActiveTenant: (tenantId: string) => Promise<boolean>
  readonly check: MessageCheck
}

/** Where a message comes from, and whose it is. */
interface Source {
  readonly tenantId: string
  readonly integrationId: string | null
  readonly configId: string
  /** Deliveries and users of one source are told apart by their ids. */
  readonly name: readonly string[]
  readonly userId: string
  readonly keyId: string | null
  readonly sessionIdleMinutes: number
}

/** A message and what tells its delivery apart. */
interface Taken {
  readonly message: InboundMessage
  readonly deliveryId: string
  /** Where a client has made the id up: whose it is, and what it stands for. */
  readonly keyed?: { readonly by: string | null, readonly requestHash: string }
}

// What the signature of an integration that is not there is checked with, so that it takes as long.
const nobody = { scheme: 'standard', hmac: null } as const
const nobodysSecrets = [Buffer.alloc(32).toString('base64')]

const digest = (...parts: unknown[]) => hash('sha256', JSON.stringify(parts), 'base64url')

const notAdmitted = () => new ApiError('unauthenticated', {
  detail: 'The request is not signed by a sender that is known here. POST /api/webhook/verify explains why.',
  headers: { 'www-authenticate': 'Bearer realm="parley"' }
})

/** The end user that a session is of: users of different channels may have the same name. */
const ownerOn = ({ channel, externalUserId }: InboundMessage) => `${channel}:${externalUserId}`

const receiptOf = ({ id, receivedAt }: StoredMessage, deliveryId: string): WebhookReceipt =>
  ({ id, deliveryId, receivedAt: receivedAt.toISOString() })

/** A message from outside as operators see it. */
function present ({ id, integrationId, configId, status, attempts, sessionId, userMessageId, botMessageId, error, receivedAt, endedAt }: StoredMessage): WebhookDelivery {
  return {
    id,
    integrationId,
    configId,
    status,
    attempts,
    sessionId,
    userMessageId,
    botMessageId,
    error,
    receivedAt: receivedAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null
  }
}

/** Takes messages on that come by webhooks. */
export class Intake {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** What the sender of an integration says. Throws `unauthenticated`, whatever is wrong with the signature. */
  async receiveSigned (integrationId: string, request: SignedRequest, from: string, wait: boolean): Promise<Answer> {
    const integration = await this.#admit(integrationId, request, from)
    const delivery = readDelivery(integration, request, parseJson(request.body), this.#deps.check)
    if (delivery.kind !== 'message') return { outcome: outcomeOf(delivery), replayed: false }
    const { id, tenantId, configId, sessionIdleMinutes } = integration
    return await this.#take({
      tenantId, integrationId: id, configId, name: ['integration', id], userId: ownerOn(delivery.message), keyId: null, sessionIdleMinutes
    }, delivery, wait)
  }

  /** As `receiveSigned`, of the integration that the body names. */
  async receiveSignedByNamed (request: SignedRequest, from: string, wait: boolean): Promise<Answer> {
    let named: unknown
    try {
      named = resolvePointer(parseJson(request.body), '/integrationId')
    } catch { /* It names none. */ }
    return await this.receiveSigned(typeof named === 'string' ? named : '', request, from, wait)
  }

  /** What somebody says for users elsewhere. Who has `chat` alone and is a user speaks for themselves. */
  async receiveFrom (principal: Principal, body: Buffer, key: string | undefined, wait: boolean): Promise<Answer> {
    if (principal.visitor) throw new ApiError('forbidden', { detail: 'Visitors send their messages to a session.' })
    const { configId, type: _t, integrationId: _i, ...message } = this.#deps.check(parseJson(body))
    if (configId === undefined) {
      throw new ApiError('validation_failed', {
        detail: 'With a credential, the body names the configuration.', members: { errors: [{ path: '/configId', message: 'must be there' }] }
      })
    }
    const { tenantId, userId, keyId = null } = principal
    const isForOthers = userId === null || covers(principal, 'sessions:write')
    if (!isForOthers && message.externalUserId !== userId) {
      throw new ApiError('forbidden', { detail: 'Speaking for another user needs the scope sessions:write.' })
    }
    return await this.#take({
      tenantId,
      integrationId: null,
      configId,
      name: isForOthers ? ['config', configId] : ['config', configId, userId],
      userId: isForOthers ? ownerOn(message) : userId,
      keyId,
      sessionIdleMinutes: DEFAULT_IDLE_MINUTES
    }, {
      message,
      deliveryId: key ?? message.externalMessageId ?? newId(),
      ...(key !== undefined && { keyed: { by: keyId ?? userId, requestHash: digest(configId, message) } })
    }, wait)
  }

  /** Answers Meta's question whether it has the right address. Throws `unauthenticated`. */
  async shakeHands (integrationId: string, mode: string, token: string, challenge: string, from: string): Promise<string> {
    const verifyToken = (await this.#deps.integrations.recall(integrationId))?.verifyToken ?? null
    const isRight = isSame(token, verifyToken ?? '') && verifyToken !== null
    if (isRight && mode === 'subscribe') return challenge
    await this.#deps.limits.hit('ip', from)
    throw notAdmitted()
  }

  /** A message that came from outside, and what became of it. */
  async get ({ tenantId }: Principal, id: string): Promise<WebhookDelivery> {
    const found = await this.#deps.inbound.find(tenantId, id)
    if (!found) throw new ApiError('not_found', { detail: `There is no message ${id}.` })
    return present(found)
  }

  /** The integration that a request comes from. */
  async #admit (integrationId: string, request: SignedRequest, from: string): Promise<OpenIntegration> {
    const { integrations, limits, isActiveTenant } = this.#deps
    const integration = /^[0-9a-f]{24}$/.test(integrationId) ? await integrations.recall(integrationId) : undefined
    const now = Date.now()
    const verdict = verify(schemeOf(integration ?? nobody), integration ? secretsAt(integration, now) : nobodysSecrets, request, now)
    if (!integration || !('secret' in verdict)) {
      await limits.hit('ip', from)
      throw notAdmitted()
    }
    await limits.hit('integration', integrationId)
    if (!await isActiveTenant(integration.tenantId)) throw new ApiError('forbidden', { detail: 'The tenant is suspended.' })
    if (!integration.enabled) throw new ApiError('forbidden', { detail: 'The integration is not enabled.' })
    return integration
  }

  async #take (source: Source, { message, deliveryId, keyed }: Taken, wait: boolean): Promise<Answer> {
    const { inbound, turns } = this.#deps
    const { tenantId, integrationId, configId, name, userId, keyId, sessionIdleMinutes } = source
    const { channel, externalUserId } = message
    await this.#requireServed(source, channel)
    const { message: taken, isNew } = await inbound.receive({
      tenantId,
      integrationId,
      configId,
      key: digest(tenantId, name, deliveryId, ...keyed ? [keyed.by] : []),
      ...(keyed && { requestHash: keyed.requestHash }),
      conversation: `${tenantId}/${digest(name, channel, externalUserId)}`,
      said: { userId, ...message, deliveryId, keyId, sessionIdleMinutes }
    })
    if (isNew) turns.wake(taken)
    if (keyed && keyed.requestHash !== taken.requestHash) {
      throw new ApiError('idempotency_conflict', { detail: 'This Idempotency-Key was used with another message.' })
    }
    const replayed = !isNew
    const ended = wait ? await turns.ended(taken, WAIT_MS) : undefined
    if (ended?.error && ended.status === 'failed') throw new ApiError(ended.error.code, { detail: ended.error.detail })
    const outcome = ended?.status === 'completed' ? await this.#replyTo(ended, deliveryId) : undefined
    return outcome ? { outcome, replayed } : { receipt: receiptOf(taken, deliveryId), replayed }
  }

  /** Throws where there is no such chatbot, or it does not serve the channel. */
  async #requireServed ({ tenantId, configId }: Source, channel: string): Promise<void> {
    const { chatbots } = this.#deps
    const { channels } = chatbots.recent(tenantId, configId) ?? await chatbots.require(tenantId, configId)
    if (channels.length === 0 || channels.includes(channel)) return
    throw new ApiError('validation_failed', {
      detail: 'The chatbot does not serve this channel.',
      members: { errors: [{ path: '/channel', message: `must be one of ${channels.join(', ')}` }] }
    })
  }

  /** Undefined: the reply was deleted meanwhile. */
  async #replyTo ({ id, tenantId, sessionId, userMessageId, botMessageId, receivedAt }: StoredMessage, deliveryId: string): Promise<WebhookOutcome | undefined> {
    const found = await this.#deps.sessions.requireMessage({ tenantId }, sessionId!, botMessageId!).catch(unlessGone)
    if (!found || found.message.status === 'deleted') return undefined
    return {
      status: 'completed',
      id,
      deliveryId,
      receivedAt: receivedAt.toISOString(),
      sessionId: sessionId!,
      userMessageId: userMessageId!,
      botMessageId: botMessageId!,
      reply: found.message.content
    }
  }
}

function outcomeOf (delivery: Exclude<Delivery, { kind: 'message' }>): WebhookOutcome {
  return delivery.kind === 'ignored' ? { status: 'ignored', reason: delivery.reason } : { status: 'verified', challenge: delivery.challenge }
}

function unlessGone (error: unknown): undefined {
  if (error instanceof ApiError && error.code === 'not_found') return undefined
  throw error
}
