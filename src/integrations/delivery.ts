import { hash } from 'node:crypto'
import { type WebhookMessage } from '../../schemas/webhook.ts'
import { ApiError } from '../errors.ts'
import { isStorable } from '../storable-json.ts'
import { type Integration, type Mapping } from '../store/integrations.ts'
import { resolvePointer } from './json-pointer.ts'
import { type SignedRequest } from './signatures/signed-request.ts'

const MAX_METADATA_BYTES = 4096
const MAX_ID_CHARS = 255

/** What a delivery says; the ids of configuration and integration are not in it. */
export type InboundMessage = Omit<WebhookMessage, 'type' | 'configId' | 'integrationId'>

/** What a delivery is. */
export type Delivery =
  | { readonly kind: 'message', readonly message: InboundMessage, readonly deliveryId: string }
  | { readonly kind: 'ignored', readonly reason: string }
  | { readonly kind: 'challenge', readonly challenge: string }

/** Checks that a value is a message. Throws `validation_failed`. */
export type MessageCheck = (value: unknown) => WebhookMessage

type Source = Pick<Integration, 'scheme' | 'mapping' | 'channel'>

// Where Slack's events have it.
const slackMessage: Mapping = { text: '/event/text', externalUserId: '/event/user', externalMessageId: '/event/ts' }

const member = (body: unknown, name: string) => resolvePointer(body, `/${name}`)

/** A text, or a number as a text. */
function textAt (body: unknown, pointer: string | undefined): string | undefined {
  const found = pointer === undefined ? undefined : resolvePointer(body, pointer)
  if (typeof found === 'number') return String(found)
  return typeof found === 'string' && found.trim() !== '' ? found : undefined
}

function metadataAt (body: unknown, pointer: string | undefined): Record<string, unknown> | undefined {
  const found = pointer === undefined ? undefined : resolvePointer(body, pointer)
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return undefined
  const fits = Buffer.byteLength(JSON.stringify(found)) <= MAX_METADATA_BYTES && isStorable(found)
  return fits ? found as Record<string, unknown> : undefined
}

/** A body of the sender's own making, as a message. Undefined: it has none. */
function mapped (body: unknown, mapping: Mapping, channel: string): unknown {
  const [text, externalUserId] = [textAt(body, mapping.text), textAt(body, mapping.externalUserId)]
  if (text === undefined || externalUserId === undefined) return undefined
  const externalMessageId = textAt(body, mapping.externalMessageId)
  const metadata = metadataAt(body, mapping.metadata)
  return {
    type: 'message',
    channel: textAt(body, mapping.channel) ?? channel,
    externalUserId,
    text,
    ...(externalMessageId !== undefined && { externalMessageId }),
    ...(metadata && { metadata })
  }
}

/** What tells deliveries of a sender apart. What is signed comes before what is not: headers of GitHub are not. */
function deliveryIdOf ({ scheme, mapping }: Source, { headers, body: raw }: SignedRequest, body: unknown, externalMessageId: string | undefined): string {
  const own = {
    standard: headers['webhook-id'], stripe: member(body, 'id'), slack: member(body, 'event_id'), github: undefined, hmac: undefined
  }[scheme]
  const unsigned = scheme === 'github' ? headers['x-github-delivery'] : undefined
  const candidates = [textAt(body, mapping?.deliveryId), own, externalMessageId, unsigned]
  const id = candidates.find((one): one is string => typeof one === 'string' && one !== '')
  return id !== undefined && id.length <= MAX_ID_CHARS ? id : hash('sha256', id ?? raw, 'hex')
}

/** Reads what a verified request says. Throws `validation_failed` where it is a message that cannot be one. */
export function readDelivery (source: Source, request: SignedRequest, body: unknown, check: MessageCheck): Delivery {
  const { scheme, channel } = source
  const type = member(body, 'type')
  if (scheme === 'github' && request.headers['x-github-event'] === 'ping') return { kind: 'ignored', reason: 'It is a ping.' }
  if (scheme === 'slack' && type === 'url_verification') {
    const challenge = member(body, 'challenge')
    if (typeof challenge !== 'string') {
      throw new ApiError('validation_failed', {
        detail: 'The body has no challenge.', members: { errors: [{ path: '/challenge', message: 'must be a text' }] }
      })
    }
    return { kind: 'challenge', challenge }
  }
  const isSlackEvent = scheme === 'slack' && type === 'event_callback'
  // Replies that a bot has posted come back as events: answering them would never end.
  if (isSlackEvent && resolvePointer(body, '/event/bot_id') !== undefined) return { kind: 'ignored', reason: 'A bot has said it.' }
  const mapping = source.mapping ?? (isSlackEvent ? slackMessage : null)
  const value = mapping ? mapped(body, mapping, channel) : body
  if (value === undefined) return { kind: 'ignored', reason: 'The mapping finds no text or no user in it.' }
  const { type: _t, configId: _c, integrationId: _i, ...message } = check(value)
  return { kind: 'message', message, deliveryId: deliveryIdOf(source, request, body, message.externalMessageId) }
}
