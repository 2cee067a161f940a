import { type WebhookDeliveryRepository } from '../store/webhook-deliveries.ts'
import { type WebhookEndpointRepository } from '../store/webhook-endpoints.ts'

/** Something that has happened, for those outside who want to know. */
export interface WebhookEvent {
  /** The same however often it is told, so that receivers can tell a repeat. Without dots: it is signed with the rest. */
  readonly id: string
  readonly tenantId: string
  readonly type: string
  readonly timestamp: Date
  readonly data: object
  /** Whose data it holds: it goes with them. */
  readonly about?: {
    readonly sessionId?: string | null
    readonly messageIds?: readonly string[]
    readonly userId?: string | null
  }
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

  /** The same for these endpoints, whether they want it or not. */
  async deliver (event: WebhookEvent, endpointIds: readonly string[]): Promise<void> {
    if (endpointIds.length === 0) return
    const { id, tenantId, type, timestamp, data } = event
    // Written once, so that every attempt sends the same bytes.
    const body = JSON.stringify({ type, timestamp: timestamp.toISOString(), data })
    const { sessionId, messageIds = [], userId } = event.about ?? {}
    const groups = await this.#deps.deliveries.insert({ tenantId, eventId: id, type, body, sessionId, messageIds, userId }, endpointIds)
    for (const group of groups) this.#deps.wake(group)
  }
}
