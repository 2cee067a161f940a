import { ErrorCode } from './error-code.ts'
import { Channel, Id, Metadata, NonBlankText, Text, Timestamp } from './text.ts'
import { OpenWord, OrNull, Type, closed, type Static } from './type.ts'

/** As in `UserId`, and short enough for a user to be named by channel and id. */
const externalUserId = NonBlankText({ maxLength: 128, description: 'Who says it, as the channel names them.' })

const externalMessageId = NonBlankText({ maxLength: 255, description: 'What the channel calls the message. It tells deliveries apart where nothing else does.' })

/** What a sender says that knows this API; how long the text may be is the server's setting. */
export function WebhookMessage (maxChars: number) {
  return Type.Object({
    type: Type.Literal('message', { description: 'That it is a message.' }),
    channel: Channel,
    externalUserId,
    text: NonBlankText({ maxLength: maxChars, description: 'What the user says.' }),
    externalMessageId: Type.Optional(externalMessageId),
    metadata: Type.Optional(Metadata),
    configId: Type.Optional(Type.String({
      pattern: '^[0-9a-f]{24}$', description: 'The configuration whose chatbot answers. Only on the path without an integration, with a credential.'
    })),
    integrationId: Type.Optional(Type.String({
      pattern: '^[0-9a-f]{24}$', description: 'The integration that the signature is of. Only on the path without one, in place of a credential.'
    }))
  }, {
    ...closed,
    $id: 'WebhookMessage',
    description: 'A message from an external channel. An integration with a `mapping` takes any other JSON, too.',
    examples: [{
      type: 'message', channel: 'helpdesk', externalUserId: 'customer-17', text: 'When will my order arrive?', externalMessageId: 'm-1001'
    }]
  })
}
export type WebhookMessage = Static<ReturnType<typeof WebhookMessage>>

export const WebhookReceipt = Type.Object({
  id: { ...Id, description: 'Names the message here (`GET /api/webhook/deliveries/{id}`): 24 lower-case hexadecimal characters.' },
  deliveryId: Type.String({ description: 'What tells this delivery apart from others: a repeat of it is answered the same and does nothing more.' }),
  receivedAt: Timestamp
}, {
  $id: 'WebhookReceipt',
  description: 'A message was taken on; its reply is told by the event `message.completed`.',
  examples: [{ id: '6650a1f2c3d4e5f60123456e', deliveryId: 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W', receivedAt: '2026-03-02T09:30:00.000Z' }]
})
export type WebhookReceipt = Static<typeof WebhookReceipt>

export const WebhookOutcome = Type.Object({
  status: OpenWord(['completed', 'ignored', 'verified'], {
    description: '`completed`: here is the reply. `ignored`: nothing was to be done. `verified`: the address is.'
  }),
  id: Type.Optional(Type.String({ description: 'Of `completed`: as in `WebhookReceipt`.' })),
  deliveryId: Type.Optional(Type.String({ description: 'Of `completed`: as in `WebhookReceipt`.' })),
  receivedAt: Type.Optional(Timestamp),
  sessionId: Type.Optional(Type.String({ description: 'Of `completed`: the session that goes on with this user.' })),
  userMessageId: Type.Optional(Type.String({ description: 'Of `completed`: the message of the user.' })),
  botMessageId: Type.Optional(Type.String({ description: 'Of `completed`: the reply.' })),
  reply: Type.Optional(Type.String({ description: 'Of `completed`: the text of the reply.' })),
  reason: Type.Optional(Type.String({ description: 'Of `ignored`: why.' })),
  challenge: Type.Optional(Type.String({ description: 'Of `verified`: what Slack asked to be sent back.' }))
}, {
  $id: 'WebhookOutcome',
  description: 'What became of a delivery.',
  examples: [{
    status: 'completed',
    id: '6650a1f2c3d4e5f60123456e',
    deliveryId: 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W',
    receivedAt: '2026-03-02T09:30:00.000Z',
    sessionId: '6650a1f2c3d4e5f601234568',
    userMessageId: '6650a1f2c3d4e5f601234569',
    botMessageId: '6650a1f2c3d4e5f60123456a',
    reply: 'Your order arrives tomorrow.'
  }, { status: 'ignored', reason: 'It is a ping.' }]
})
export type WebhookOutcome = Static<typeof WebhookOutcome>

export const WebhookDelivery = Type.Object({
  id: Id,
  integrationId: Type.Union([Type.String(), Type.Null()], { description: 'The integration that it came by. Null: it came with a credential.' }),
  configId: Type.String({ description: 'The configuration whose chatbot answers.' }),
  status: OpenWord(['queued', 'completed', 'failed'], { description: '`queued` until the reply is there, then `completed` or `failed`.' }),
  attempts: Type.Integer({ description: 'How often a reply was begun.' }),
  sessionId: Type.Union([Type.String(), Type.Null()], { description: 'The session that it is said in. Null: not known yet.' }),
  userMessageId: Type.Union([Type.String(), Type.Null()], { description: 'The message of the user. Null: there is none yet.' }),
  botMessageId: Type.Union([Type.String(), Type.Null()], { description: 'The reply. Null: there is none yet.' }),
  error: Type.Union([Type.Object({
    code: ErrorCode,
    detail: Type.String({ description: 'What happened.' })
  }), Type.Null()], { description: 'What the last attempt failed with. Null: none has.' }),
  receivedAt: Timestamp,
  endedAt: Type.Union([Timestamp, Type.Null()], { description: 'Null: it is queued.' })
}, {
  $id: 'WebhookDelivery',
  description: 'A message that came from an external channel, and what became of it. Kept for 30 days.',
  examples: [{
    id: '6650a1f2c3d4e5f60123456e',
    integrationId: '6650a1f2c3d4e5f60123456d',
    configId: '6650a1f2c3d4e5f601234567',
    status: 'completed',
    attempts: 1,
    sessionId: '6650a1f2c3d4e5f601234568',
    userMessageId: '6650a1f2c3d4e5f601234569',
    botMessageId: '6650a1f2c3d4e5f60123456a',
    error: null,
    receivedAt: '2026-03-02T09:30:00.000Z',
    endedAt: '2026-03-02T09:30:01.700Z'
  }]
})
export type WebhookDelivery = Static<typeof WebhookDelivery>

export const WebhookQuery = Type.Object({
  wait: Type.Boolean({
    default: false, description: 'Whether to wait for the reply and answer 200 with it. What takes longer than 25 seconds is answered 202 all the same.'
  })
}, closed)

const hub = (description: string) => Text({ maxLength: 500, description })

export const WebhookHandshakeQuery = Type.Object({
  'hub.mode': hub('`subscribe`.'),
  'hub.verify_token': hub('The verify token of the integration.'),
  'hub.challenge': hub('What to send back.')
}, closed)

export const WebhookTrial = Type.Object({
  integrationId: { ...Id, description: 'The integration that the request was meant for.' },
  headers: Type.Unsafe<Record<string, string>>({
    type: 'object',
    additionalProperties: Text({ maxLength: 4000, description: 'The value.' }),
    propertyNames: { pattern: "^[!#$%&'*+.^`|~0-9A-Za-z-][!#$%&'*+.^`|~0-9A-Za-z_-]*$" },
    maxProperties: 100,
    description: 'The headers of the request, by name in any case.'
  }),
  body: Text({ maxLength: 50_000, description: 'The body of the request, to the byte, as text.' })
}, {
  ...closed,
  $id: 'WebhookTrial',
  description: 'A request as a sender has sent it.',
  examples: [{
    integrationId: '6650a1f2c3d4e5f601234567',
    headers: { 'webhook-id': 'msg_1', 'webhook-timestamp': '1751000000', 'webhook-signature': 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=' },
    body: '{"type":"message","channel":"helpdesk","externalUserId":"customer-17","text":"Hello"}'
  }]
})
export type WebhookTrial = Static<typeof WebhookTrial>

export const WebhookTrialResult = Type.Object({
  valid: Type.Boolean({ description: 'Whether the signature would be taken.' }),
  reason: OrNull(OpenWord(['missing_header', 'malformed_header', 'timestamp_too_old', 'timestamp_too_new', 'no_match'], {
    description: 'Why not: `missing_header`, `malformed_header`, `timestamp_too_old`, `timestamp_too_new` or `no_match`. Null: it would.'
  })),
  detail: Type.String({ description: 'The same for people, with what is probably wrong.' }),
  signedBy: OrNull(OpenWord(['current', 'previous'], { description: 'The secret that fits: `current` or `previous`. Null: none.' })),
  deliveryId: Type.Union([Type.String(), Type.Null()], { description: 'What would tell this delivery apart from others. Null: the signature does not fit.' }),
  outcome: OpenWord(['message', 'ignored', 'verified', 'refused'], {
    description: 'What would be done: `message`, `ignored`, `verified`, or `refused` where signature or body do not fit.'
  }),
  outcomeDetail: Type.Union([Type.String(), Type.Null()], { description: 'Why the body is ignored or refused. Null: it is neither.' })
}, {
  $id: 'WebhookTrialResult',
  description: 'What the server makes of a request; nothing was done.',
  examples: [{
    valid: true, reason: null, detail: 'The signature is right.', signedBy: 'current', deliveryId: 'msg_1', outcome: 'message', outcomeDetail: null
  }]
})
export type WebhookTrialResult = Static<typeof WebhookTrialResult>
