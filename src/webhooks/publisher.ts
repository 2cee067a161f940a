import { type WebhookDeliveryRepository } from '../store/webhook-deliveries.ts'
import { type WebhookEndpointRepository } from '../store/webhook-endpoints.ts'
import { whoseData } from './whose-data.ts'

/** Something that has happened, for those outside who want to know. */
export interface WebhookEvent {
  /** The same however often it is told, so that receivers can tell a repeat. Without dots: it is signed with the rest. */
  readonly id: string
  readonly tenantId: string
  readonly type: string
  readonly timestamp: Date
  readonly data: object
}

interface Dependencies {
  readonly endpoints: WebhookEndpointRepository
  readonly deliveries: WebhookDeliveryRepository
  /** There is something to deliver. */
  readonly wake: (group: string) => void
}

/** Takes on the deliveries of events. */
export class WebhookPublisher {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Resolves when there is a delivery for each endpoint that wants the event. It can be called again for the same one. */
  async publish (event: WebhookEvent): Promise<void> {
    const wanting = await this.#deps.endpoints.wanting(event.tenantId, event.type)
    await this.deliver(event, wanting.map(({ id }) => id))
  }

  /** The same for these endpoints, whether they want it or not. Answers the new deliveries. */
  async deliver ({ id, tenantId, type, timestamp, data }: WebhookEvent, endpointIds: readonly string[]): Promise<string[]> {
    if (endpointIds.length === 0) return []
    // Written once, so that every attempt sends the same bytes.
    const body = JSON.stringify({ type, timestamp: timestamp.toISOString(), data })
    const taken = await this.#deps.deliveries.insert({ tenantId, eventId: id, type, body, ...whoseData(data) }, endpointIds)
    for (const { group } of taken) this.#deps.wake(group)
    return taken.map(({ id }) => id)
  }
}
