import { type Bus } from '../bus/bus.ts'
import { type Log } from '../chat/turn-runner.ts'
import { type WebhookEndpointRepository } from '../store/webhook-endpoints.ts'

// Replicas promise to know of an endpoint within five seconds, also where the bus loses the hint.
const REFRESH_MS = 3000
// Endpoints are dated by the clocks of replicas, which are not that far apart.
const OVERLAP_MS = 300_000
const TOPIC = 'webhook-endpoints'

/**
 * Which tenants want to be told of what, in memory, so that whoever causes an event need not ask. A hint: what was removed
 * meanwhile may still be in it, and whom an event is sent to is read from the store.
 */
export class Audience {
  readonly #endpoints: WebhookEndpointRepository
  readonly #bus: Bus
  /** Of the endpoints that are enabled, by tenant: the types that are wanted; none: all. */
  readonly #wanted = new Map<string, Map<string, readonly string[]>>()
  readonly #timer: NodeJS.Timeout
  #newest = new Date(0)
  #running: Promise<void> = Promise.resolve()

  constructor (endpoints: WebhookEndpointRepository, bus: Bus, log: Log) {
    this.#endpoints = endpoints
    this.#bus = bus
    const refresh = () => {
      this.refresh().catch((error: unknown) => log.warn({ err: error }, 'the webhook endpoints could not be read; those known before hold'))
    }
    this.#timer = setInterval(refresh, REFRESH_MS)
    bus.subscribe(TOPIC, refresh)
  }

  /** Whether anybody of a tenant wants to be told. */
  wants (tenantId: string, type: string): boolean {
    const wanted = this.#wanted.get(tenantId)
    return wanted !== undefined && [...wanted.values()].some((types) => types.length === 0 || types.includes(type))
  }

  /** An endpoint was changed here. When this resolves, this process knows; soon the others do. */
  async changed (): Promise<void> {
    // Heard here at once.
    this.#bus.publish(TOPIC, {})
    await this.#running
  }

  /** Learns what has changed before this call. */
  async refresh (): Promise<void> {
    const refreshed = this.#running.then(async () => await this.#refresh())
    this.#running = refreshed.catch(() => {})
    await refreshed
  }

  close (): void {
    clearInterval(this.#timer)
  }

  async #refresh (): Promise<void> {
    const since = new Date(this.#newest.getTime() - OVERLAP_MS)
    for (const { id, tenantId, status, events, updatedAt } of await this.#endpoints.changedSince(since)) {
      const wanted = this.#wanted.get(tenantId) ?? new Map<string, readonly string[]>()
      if (status === 'enabled') wanted.set(id, events)
      else wanted.delete(id)
      if (wanted.size > 0) this.#wanted.set(tenantId, wanted)
      else this.#wanted.delete(tenantId)
      if (updatedAt > this.#newest) this.#newest = updatedAt
    }
  }
}
