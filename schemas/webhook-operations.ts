import { WebhookEvent, webhookEvents } from './webhook-event.ts'

const header = (name: string, description: string, example: string | number) => ({
  name,
  in: 'header' as const,
  required: true,
  description,
  schema: { type: typeof example === 'number' ? 'integer' as const : 'string' as const, examples: [example] }
})

/** What an outgoing request carries beside its body (Standard Webhooks). */
const parameters = [
  header('webhook-id', 'Names the event. Attempts and repeats of one have the same, so that a receiver can tell them from news.', 'evt_6650a1f2c3d4e5f60123456a'),
  header('webhook-timestamp', 'When this attempt was made, in seconds since 1970. Refuse what is more than five minutes away.', 1772443800),
  header('webhook-signature',
    '`v1,` and the Base64 of the HMAC-SHA-256 of `{webhook-id}.{webhook-timestamp}.{body}` under the endpoint\'s secret. While a secret is ' +
    'being replaced there are two, with a space between them: one that fits is enough.',
    'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=')
]

const responses = {
  '2XX': { description: 'Taken. Answer within 15 seconds and do the work afterwards. What the body says is kept in the delivery log only.' },
  410: { description: 'The receiver is gone: the endpoint is disabled.' },
  default: {
    description: 'Not taken, redirects included: it is tried again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h. A ' +
      '`retry-after` of 429 or 503 is respected.'
  }
}

const nameOf = (type: string) => `on${type.split('.').map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')}`

const sent = {
  tags: ['webhooks'],
  security: [],
  parameters,
  responses
}
const bodyOf = ({ $id }: { $id?: string }) => ({ required: true, content: { 'application/json': { schema: { $ref: `#/components/schemas/${$id}` } } } })

/** The section `webhooks` of the document: what Parley sends, an operation per kind of event. */
export const webhookOperations = Object.fromEntries(webhookEvents.map((event) => [event.properties.type.const, {
  post: {
    operationId: nameOf(event.properties.type.const),
    summary: `\`${event.properties.type.const}\``,
    description: `${event.description}\n\nSent to each webhook endpoint of the tenant that is enabled and wants this type; at least once, in no certain order.`,
    ...sent,
    requestBody: bodyOf(event)
  }
}]))

/** The same as seen from the operation that asks for it, which is where OpenAPI 3.0 has a place for it. */
export const webhookCallbacks = {
  event: {
    '{$request.body#/url}': {
      post: {
        operationId: 'onEvent',
        summary: 'An event, of any kind',
        description: 'Sent to the endpoint while it is enabled, where it wants this type; at least once, in no certain order.',
        ...sent,
        requestBody: bodyOf(WebhookEvent)
      }
    }
  }
}
