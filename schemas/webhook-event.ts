import { ErrorCode } from './error-code.ts'
import { botMessage as message, configId, ended as timestamp, session, sessionId } from './examples.ts'
import { Message } from './message.ts'
import { quotaNames, quotaSubjects } from './quota.ts'
import { Session } from './session.ts'
import { Id, Timestamp } from './text.ts'
import { Long, OpenWord, OrNull, Ref, Type, type Static, type TSchema } from './type.ts'

const textOrNull = (description: string) => OrNull(Type.String(), description)

const integrationId = '6650a1f2c3d4e5f60123456d'
const route = { sessionId, configId, userId: 'customer-17', channel: 'web' }
const quota = {
  quota: 'tokensPerMonth',
  subject: 'key',
  keyId: '6650a1f2c3d4e5f60123456b',
  limit: 5_000_000,
  used: 4_012_345,
  period: 'month',
  resetAt: '2026-04-01T00:00:00.000Z'
}

/** One kind of event, as a component: the envelope of Standard Webhooks around its data. */
function Event<const N extends string, T extends TSchema> (name: string, type: N, description: string, data: T, example: object) {
  return Type.Object({
    type: Type.Literal(type, { description: 'What has happened.' }),
    timestamp: { ...Timestamp, description: 'When it happened, which attempts to deliver it do not change: RFC 3339, UTC, with milliseconds.' },
    data
  }, { $id: name, description, examples: [{ type, timestamp, data: example }] })
}

const reply = Type.Object({
  message: Ref(Message),
  sessionId: { ...Id, description: 'The session that it was said in.' },
  configId: { ...Id, description: 'The configuration that has answered.' },
  userId: textOrNull('The end user of the session; null: it is of no particular user.'),
  channel: textOrNull('Where the conversation takes place; null: it was not said.'),
  integrationId: Type.Optional({ ...Id, description: 'The integration that the message came in by. Absent: it came in another way.' }),
  externalUserId: Type.Optional(Type.String({ description: 'The user, as the integration\'s sender names them.' })),
  externalMessageId: Type.Optional(Type.String({ description: 'The message that is answered, as its sender names it.' }))
}, { description: 'The reply, and what is needed to send it on.' })

export const MessageCompletedEvent = Event('MessageCompletedEvent', 'message.completed',
  'A reply is complete.', reply, { message, ...route })

export const MessageFailedEvent = Event('MessageFailedEvent', 'message.failed',
  'A reply has ended before it was complete. `data.message.status` says how: `failed`, `interrupted` (its server has died) or `stopped` ' +
  '(somebody has stopped it). Each reply ends with either this or `message.completed`.',
  reply, {
    message: { ...message, content: '', status: 'failed', error: { code: 'upstream_timeout', detail: 'The model took too long.' } },
    ...route,
    integrationId,
    externalUserId: '4915112345678',
    externalMessageId: 'wamid.17'
  })

const conversation = Type.Object({ session: Ref(Session) }, { description: 'The conversation.' })

export const SessionStartedEvent = Event('SessionStartedEvent', 'session.started',
  'A session was opened. Imported ones are not told.', conversation, { session })

export const SessionEndedEvent = Event('SessionEndedEvent', 'session.ended',
  'The status of a session was set to `ended`. One that is deleted is not told.', conversation, { session: { ...session, status: 'ended' } })

export const ConfigChangedEvent = Event('ConfigChangedEvent', 'config.changed',
  'A configuration was created, has a new version, or was deleted.', Type.Object({
    configId: { ...Id, description: 'The configuration.' },
    version: Type.Optional(Type.Integer({ minimum: 1, description: 'The version that there is now. Absent: there is none any more.' })),
    change: OpenWord(['created', 'updated', 'deleted'], { description: '`created`, `updated` or `deleted`.' })
  }, { description: 'Which configuration, and what became of it.' }), { configId, version: 4, change: 'updated' })

const quotaUse = Type.Object({
  quota: OpenWord(quotaNames, { description: 'Which limit, as in `Quotas`: `tokensPerDay`, `tokensPerMonth`, `messagesPerDay` or `messagesPerMonth`.' }),
  subject: OpenWord(quotaSubjects, { description: 'Whose it is: `tenant`, `user` or `key`.' }),
  userId: Type.Optional(Type.String({ description: 'Of a `user`: the end user, as your own system names them.' })),
  keyId: Type.Optional(Type.String({ description: 'Of a `key`: the API key.' })),
  limit: Long({ minimum: 1, description: 'Tokens or messages that may be used in a period.' }),
  used: Long({ minimum: 0, description: 'Tokens or messages that are used of it, without those of replies that are being written.' }),
  period: OpenWord(['day', 'month'], { description: '`day` or `month`, of UTC.' }),
  resetAt: { ...Timestamp, description: 'When the period is over: RFC 3339, UTC, with milliseconds.' }
}, { description: 'Which limit, and how much of it is used.' })

export const QuotaWarningEvent = Event('QuotaWarningEvent', 'quota.warning',
  'Four fifths of a quota are used. Told once in a period.', quotaUse, quota)

export const QuotaExceededEvent = Event('QuotaExceededEvent', 'quota.exceeded',
  'Somebody was refused a reply because too little is left of a quota. Told once in a period.', quotaUse, { ...quota, used: 4_999_870 })

export const IntegrationFailedEvent = Event('IntegrationFailedEvent', 'integration.failed',
  'A message that came in by a webhook could not be answered, and is not tried again.', Type.Object({
    integrationId: textOrNull('The integration; null: it came with a credential.'),
    configId: { ...Id, description: 'The configuration that was to answer.' },
    sessionId: textOrNull('The session that it was to be said in; null: there was none yet.'),
    userId: Type.String({ description: 'The end user of the session.' }),
    channel: Type.String({ description: 'The channel of the message.' }),
    externalUserId: Type.String({ description: 'The user, as the sender names them.' }),
    externalMessageId: textOrNull('The message, as its sender names it; null: it has no name.'),
    deliveryId: Type.String({ description: 'The id under which it was delivered.' }),
    error: Type.Object({
      code: ErrorCode,
      detail: Type.String({ description: 'What went wrong, for people.' })
    }, { description: 'Why.' })
  }, { description: 'Which message, and what went wrong.' }), {
    integrationId,
    configId,
    sessionId,
    userId: 'whatsapp:4915112345678',
    channel: 'whatsapp',
    externalUserId: '4915112345678',
    externalMessageId: 'wamid.17',
    deliveryId: 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W',
    error: { code: 'quota_exceeded', detail: 'The tenant\'s quota of messages per day is used up.' }
  })

export const WebhookPingEvent = Event('WebhookPingEvent', 'webhook.ping',
  'A test, sent because somebody has asked for it; to the one endpoint that it was asked for.', Type.Object({
    endpointId: { ...Id, description: 'The endpoint that is tested.' }
  }, { description: 'Which endpoint.' }), { endpointId: '6650a1f2c3d4e5f60123456c' })

/** All kinds, in the order of the document. */
export const webhookEvents = [
  MessageCompletedEvent, MessageFailedEvent, SessionStartedEvent, SessionEndedEvent, ConfigChangedEvent, QuotaWarningEvent,
  QuotaExceededEvent, IntegrationFailedEvent, WebhookPingEvent
] as const

/** What has happened, by the kind of event. */
export type WebhookEventBody = Static<typeof webhookEvents[number]>
export type WebhookEventType = WebhookEventBody['type']
/** What is told of it. */
export type WebhookEventData<T extends WebhookEventType> = Extract<WebhookEventBody, { type: T }>['data']

export const webhookEventTypes = webhookEvents.map(({ properties }): WebhookEventType => properties.type.const)

/** The body of every outgoing webhook. */
export const WebhookEvent = Type.Unsafe<WebhookEventBody>({
  $id: 'WebhookEvent',
  description: 'The body of an outgoing webhook; `type` says which it is. Open to growth: answer 2xx to types that you do not know, and pass over them.',
  oneOf: webhookEvents.map((event) => Ref(event)),
  discriminator: {
    propertyName: 'type',
    mapping: Object.fromEntries(webhookEvents.map(({ $id, properties }) => [properties.type.const, `#/components/schemas/${$id}`]))
  },
  examples: webhookEvents.flatMap(({ examples }) => examples as unknown[])
})
