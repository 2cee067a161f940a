import { setImmediate } from 'node:timers/promises'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { ObjectId } from 'mongodb'
import { type WebhookEventBody } from '../../schemas/webhook-event.ts'
import { type TestApp } from '../helper.ts'

interface Told {
  readonly eventId: string
  readonly body: WebhookEventBody
}

/** Who is to be told of events, without ever being asked: the deliveries stay where they are and can be looked at. */
export interface Listener {
  /** Whether anything is sent to it from now on. */
  readonly enable: (isEnabled: boolean) => Promise<void>
  /** What is on its way, in the order of its coming. */
  readonly told: () => Promise<Told[]>
  /** The same once it is so many events, without what came before the last call. */
  readonly next: (count?: number) => Promise<Told[]>
}

/** Makes an endpoint that wants these types; none: all. */
export async function listen ({ app, db }: Pick<TestApp, 'app' | 'db'>, events: string[] = [], tenantId = 'default'): Promise<Listener> {
  const given = { tenantId, url: 'https://receiver.example/', description: null, events, status: 'enabled' as const }
  const { id } = await app.store.webhookEndpoints.insert(given, () => 'no secret, so nothing is sent', new Date())
  await app.webhookAudience.changed()
  const told = async () => {
    const found = await db.collection<{ eventId: string, body: string }>('webhookDeliveries')
      .find({ endpointId: new ObjectId(id) }).sort({ _id: 1 }).toArray()
    return found.map(({ eventId, body }) => ({ eventId, body: JSON.parse(body) as WebhookEventBody }))
  }
  const seen = new Set<string>()
  return {
    async enable (isEnabled) {
      await app.store.webhookEndpoints.change(tenantId, id, { status: isEnabled ? 'enabled' : 'disabled' }, new Date())
      await app.webhookAudience.changed()
    },
    told,
    async next (count = 1) {
      for (;;) {
        const fresh = (await told()).filter(({ eventId }) => !seen.has(eventId))
        if (fresh.length >= count) {
          fresh.forEach(({ eventId }) => seen.add(eventId))
          return fresh
        }
        await setImmediate()
      }
    }
  }
}

/** Whether a body is as the document of this app says; in words where not. */
export function bodyCheck ({ app }: Pick<TestApp, 'app'>): (body: WebhookEventBody) => string {
  const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } })
  const { webhooks = {}, ...document } = app.swagger() as unknown as {
    webhooks?: Record<string, { post: { requestBody: { content: Record<string, { schema: { $ref: string } }> } } }>
  }
  ajv.addSchema(document, 'document')
  return (body) => {
    const { $ref } = webhooks[body.type]!.post.requestBody.content['application/json']!.schema
    const validate = ajv.getSchema(`document${$ref}`)!
    return validate(body) ? '' : ajv.errorsText(validate.errors)
  }
}
