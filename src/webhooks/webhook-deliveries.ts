import { randomUUID } from 'node:crypto'
import {
  type EndpointDelivery as DeliveryView, type EndpointDeliveryQuery, type WebhookRedeliveries, type WebhookRedelivery
} from '../../schemas/webhook-endpoint.ts'
import { ApiError } from '../errors.ts'
import { type PageOf } from '../store/page.ts'
import { type Delivery, deliveryGroup, type Position, type WebhookDeliveryRepository } from '../store/webhook-deliveries.ts'
import { type WebhookPublisher } from './publisher.ts'
import { type WebhookEndpoints } from './webhook-endpoints.ts'

const MAX_REDELIVERIES = 10_000
const AT_ONCE = 500

function present ({ id, endpointId, eventId, type, status, attempts, nextAttemptAt, createdAt, completedAt }: Delivery): DeliveryView {
  return {
    id,
    endpointId,
    eventId,
    type,
    status,
    attempts: attempts.map((attempt) => ({ ...attempt, at: attempt.at.toISOString() })),
    nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    completedAt: completedAt?.toISOString() ?? null
  }
}

interface Dependencies {
  readonly endpoints: WebhookEndpoints
  readonly deliveries: WebhookDeliveryRepository
  readonly publisher: WebhookPublisher
  readonly wake: (group: string) => void
}

/** The log of what was sent to an endpoint, and sending it once more. */
export class WebhookDeliveries {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** The newest first. */
  async list (tenantId: string, endpointId: string, { status, ...request }: EndpointDeliveryQuery): Promise<PageOf<DeliveryView>> {
    await this.#deps.endpoints.require(tenantId, endpointId)
    const { data, nextCursor } = await this.#deps.deliveries.page(tenantId, endpointId, status, request)
    return { data: data.map(present), nextCursor }
  }

  async get (tenantId: string, endpointId: string, id: string): Promise<DeliveryView> {
    const found = await this.#deps.deliveries.find(tenantId, endpointId, id)
    if (!found) throw new ApiError('not_found', { detail: `There is no delivery ${id} to this webhook endpoint.` })
    return present(found)
  }

  /** Once more from the first attempt on. */
  async redeliver (tenantId: string, endpointId: string, id: string): Promise<DeliveryView> {
    const { deliveries, wake } = this.#deps
    await this.get(tenantId, endpointId, id)
    await this.#requireEnabled(tenantId, endpointId)
    await deliveries.redeliver(tenantId, endpointId, id)
    wake(deliveryGroup(tenantId, endpointId))
    return await this.get(tenantId, endpointId, id)
  }

  /** The same for what was taken on in a stretch of time, the oldest first. */
  async redeliverBetween (tenantId: string, endpointId: string, { from, to, status }: WebhookRedelivery): Promise<WebhookRedeliveries> {
    const { deliveries, wake } = this.#deps
    await this.#requireEnabled(tenantId, endpointId)
    const range = { from: new Date(from), to: to === undefined ? new Date() : new Date(to), status }
    let count = 0
    let last: Position | undefined
    do {
      const batch = await deliveries.redeliverBetween(tenantId, endpointId, range, last, AT_ONCE)
      count += batch.count
      last = batch.last
      wake(deliveryGroup(tenantId, endpointId))
    } while (last && count <= MAX_REDELIVERIES - AT_ONCE)
    return { count, continueFrom: last?.at.toISOString() ?? null }
  }

  /** Sends a `webhook.ping`, whatever the endpoint wants. */
  async test (tenantId: string, endpointId: string): Promise<DeliveryView> {
    await this.#requireEnabled(tenantId, endpointId)
    const event = { id: `evt_${randomUUID()}`, tenantId, type: 'webhook.ping', timestamp: new Date(), data: { endpointId } }
    const [id] = await this.#deps.publisher.deliver(event, [endpointId])
    return await this.get(tenantId, endpointId, id!)
  }

  async #requireEnabled (tenantId: string, endpointId: string): Promise<void> {
    const { status } = await this.#deps.endpoints.require(tenantId, endpointId)
    if (status !== 'enabled') throw new ApiError('conflict', { detail: 'The webhook endpoint is disabled; enable it first.' })
  }
}
