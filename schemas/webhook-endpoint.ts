import { Page, pageQuery } from './page.ts'
import { Id, Text, Timestamp } from './text.ts'
import { OneOf, OpenWord, OrNull, Ref, Type, closed, type Static } from './type.ts'
import { webhookEventTypes } from './webhook-event.ts'

const MAX_OVERLAP_SECONDS = 7 * 86_400

// A test goes to the endpoint that it is asked for, whatever that wants.
const types = webhookEventTypes.filter((type) => type !== 'webhook.ping')

const url = Type.String({
  minLength: 1,
  maxLength: 2048,
  pattern: '^[\\x21-\\x7E]+$',
  description: 'Where events are sent: https, or http where the server is set to allow it, at a public address. At most 2048 characters.'
})
const description = Text({ maxLength: 500, description: 'What it is for, at most 500 characters.' })
const events = Type.Array(OneOf(types, { description: 'A kind of event.' }), {
  maxItems: types.length, uniqueItems: true, description: 'The kinds of events that are wanted; empty: all, also those to come.'
})
const status = OneOf(['enabled', 'disabled'], { description: '`disabled`: nothing is sent, and what happens meanwhile is not kept for it.' })

export const WebhookEndpointInput = Type.Object({
  url,
  description: Type.Optional(description),
  events: Type.Optional(events),
  status: Type.Optional(status)
}, {
  ...closed,
  $id: 'WebhookEndpointInput',
  description: 'Where to send what happens. Only `url` is required.',
  examples: [{ url: 'https://example.com/hooks/parley', description: 'Into the help desk', events: ['message.completed', 'message.failed'] }]
})
export type WebhookEndpointInput = Static<typeof WebhookEndpointInput>

export const WebhookEndpointPatch = Type.Object({
  url: Type.Optional(url),
  description: Type.Optional(OrNull(description, 'Null removes it.')),
  events: Type.Optional(events),
  status: Type.Optional(status)
}, {
  ...closed,
  $id: 'WebhookEndpointPatch',
  description: 'What to change; absent members stay as they are. `status: "enabled"` forgets the failures so far.',
  examples: [{ status: 'enabled' }]
})
export type WebhookEndpointPatch = Static<typeof WebhookEndpointPatch>

const shown = {
  id: Id,
  url: Type.String({ description: 'Where events are sent.' }),
  description: OrNull(Type.String(), 'What it is for. Null: that was not said.'),
  events: Type.Array(OpenWord(types, { description: 'A kind of event.' }), { description: 'The kinds of events that are wanted; empty: all.' }),
  status: OpenWord(['enabled', 'disabled'], { description: '`enabled` or `disabled`.' }),
  disabledReason: OrNull(OpenWord(['requested', 'gone', 'failing'], {
    description: '`requested`: somebody has disabled it; `gone`: it has answered 410; `failing`: it has done nothing but fail for five days. Null: it is enabled.'
  })),
  disabledAt: OrNull(Timestamp, 'When it was disabled. Null: it is enabled.'),
  failingSince: OrNull(Timestamp, 'The first failure after the last success. Null: the last attempt was one, or there was none.'),
  createdAt: { ...Timestamp, description: 'When it was made: RFC 3339, UTC, with milliseconds.' },
  updatedAt: { ...Timestamp, description: 'When it was last changed, enabled or disabled: RFC 3339, UTC, with milliseconds.' }
}

const example = {
  id: '6650a1f2c3d4e5f60123456c',
  url: 'https://example.com/hooks/parley',
  description: 'Into the help desk',
  events: ['message.completed', 'message.failed'],
  status: 'enabled',
  disabledReason: null,
  disabledAt: null,
  failingSince: null,
  createdAt: '2026-03-02T09:30:00.000Z',
  updatedAt: '2026-03-02T09:30:00.000Z'
}

export const WebhookEndpoint = Type.Object(shown, {
  $id: 'WebhookEndpoint', description: 'Where events are sent, without the secret that signs them.', examples: [example]
})
export type WebhookEndpoint = Static<typeof WebhookEndpoint>

export const WebhookEndpointPage = Page('WebhookEndpointPage', WebhookEndpoint)

export const IssuedWebhookEndpoint = Type.Object({
  ...shown,
  secret: Type.String({ description: 'What events are signed with, `whsec_` and 32 bytes in base64. It is shown this once.' })
}, {
  $id: 'IssuedWebhookEndpoint',
  description: 'An endpoint with the secret that signs what is sent to it.',
  examples: [{ ...example, secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=' }]
})
export type IssuedWebhookEndpoint = Static<typeof IssuedWebhookEndpoint>

export const WebhookSecretRotation = Type.Object({
  overlapSeconds: Type.Optional(Type.Integer({
    minimum: 0, maximum: MAX_OVERLAP_SECONDS, default: 86_400, description: 'Seconds for which the old secret signs as well; 0 ends it at once. Absent: a day.'
  }))
}, { ...closed, $id: 'WebhookSecretRotation', description: 'How to give an endpoint another secret.', examples: [{ overlapSeconds: 86_400 }] })
export type WebhookSecretRotation = Static<typeof WebhookSecretRotation>

const deliveryStatuses = ['pending', 'delivered', 'failed', 'cancelled'] as const
const statusWords = '`pending`: attempts are to come; `delivered`: it was answered with 2xx; `failed`: nothing more is tried; ' +
  '`cancelled`: the endpoint was disabled meanwhile.'

export const EndpointAttempt = Type.Object({
  at: { ...Timestamp, description: 'When it began: RFC 3339, UTC, with milliseconds.' },
  status: OrNull(Type.Integer(), 'The HTTP status that was answered. Null: there was no answer.'),
  error: OrNull(Type.String(), 'Why there was none: a word, a colon and a sentence. Null: there was one.'),
  latencyMs: Type.Integer({ minimum: 0, description: 'Milliseconds from the beginning to the end of what was read.' }),
  answer: OrNull(Type.String(), 'The first KiB of the answer, as UTF-8. Null: there was none.')
}, {
  $id: 'EndpointAttempt',
  description: 'One attempt to deliver.',
  examples: [{ at: '2026-03-02T09:30:00.120Z', status: 204, error: null, latencyMs: 84, answer: '' }]
})

const delivery = {
  id: '6650a1f2c3d4e5f60123456e',
  endpointId: example.id,
  eventId: 'evt_6650a1f2c3d4e5f60123456f',
  type: 'message.completed',
  status: 'delivered',
  attempts: [{ at: '2026-03-02T09:30:00.120Z', status: 204, error: null, latencyMs: 84, answer: '' }],
  nextAttemptAt: null,
  createdAt: '2026-03-02T09:30:00.100Z',
  completedAt: '2026-03-02T09:30:00.210Z'
}

export const EndpointDelivery = Type.Object({
  id: Id,
  endpointId: { ...Id, description: 'The endpoint that it goes to.' },
  eventId: Type.String({ description: 'The `webhook-id` of the requests, the same in all of them.' }),
  type: OpenWord(webhookEventTypes, { description: 'The kind of event.' }),
  status: OpenWord(deliveryStatuses, { description: statusWords }),
  attempts: Type.Array(Ref(EndpointAttempt), { description: 'The attempts, the oldest first; of very many the last 30.' }),
  nextAttemptAt: OrNull(Timestamp, 'When the next attempt is due. Null: there is none to come, or it is being made.'),
  createdAt: { ...Timestamp, description: 'When it was taken on: RFC 3339, UTC, with milliseconds.' },
  completedAt: OrNull(Timestamp, 'When it was delivered or given up. Null: it is pending.')
}, { $id: 'EndpointDelivery', description: 'An event on its way to an endpoint. It is kept for 30 days.', examples: [delivery] })
export type EndpointDelivery = Static<typeof EndpointDelivery>

export const EndpointDeliveryPage = Page('EndpointDeliveryPage', EndpointDelivery)

export const EndpointDeliveryQuery = Type.Object({
  ...pageQuery,
  status: Type.Optional(OneOf(deliveryStatuses, { description: `Only such deliveries. ${statusWords}` }))
}, closed)
export type EndpointDeliveryQuery = Static<typeof EndpointDeliveryQuery>

export const WebhookRedelivery = Type.Object({
  from: Type.String({ format: 'date-time', maxLength: 40, description: 'Deliveries that were taken on at this time or later: RFC 3339.' }),
  to: Type.Optional(Type.String({ format: 'date-time', maxLength: 40, description: 'And at this time or earlier: RFC 3339. Absent: until now.' })),
  status: Type.Optional(OneOf(deliveryStatuses, { description: `Only such deliveries. Absent: all. ${statusWords}` }))
}, {
  ...closed,
  $id: 'WebhookRedelivery',
  description: 'Which deliveries to make once more.',
  examples: [{ from: '2026-03-02T08:00:00.000Z', to: '2026-03-02T10:00:00.000Z', status: 'failed' }]
})
export type WebhookRedelivery = Static<typeof WebhookRedelivery>

export const WebhookRedeliveries = Type.Object({
  count: Type.Integer({ minimum: 0, maximum: 10_000, description: 'How many deliveries are made once more.' }),
  continueFrom: OrNull(Timestamp, 'There are more than 10,000: ask again with this as `from`. Null: those were all.')
}, { $id: 'WebhookRedeliveries', description: 'How many deliveries are made once more.', examples: [{ count: 17, continueFrom: null }] })
export type WebhookRedeliveries = Static<typeof WebhookRedeliveries>
