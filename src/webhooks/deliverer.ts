import { type Log } from '../chat/turn-runner.ts'
import { type OutgoingHttp, type Outcome } from '../outgoing/outgoing-http.ts'
import { SecretError, type Secrets } from '../secrets/secrets.ts'
import { type DeliveryAttempt, type TakenDelivery, type WebhookDeliveryRepository } from '../store/webhook-deliveries.ts'
import { type DisabledReason, endpointSecret, type SigningEndpoint, type WebhookEndpointRepository } from '../store/webhook-endpoints.ts'
import { delayAfter, FAILING_MS } from './schedule.ts'
import { sign } from './signing.ts'

const GONE = 410

interface Dependencies {
  readonly endpoints: WebhookEndpointRepository
  readonly deliveries: WebhookDeliveryRepository
  readonly http: OutgoingHttp
  readonly secrets: Secrets
  readonly log: Log
  readonly scheduleMs: readonly number[]
  /** Is told what came of each attempt. */
  readonly onOutcome: (outcome: DeliveryOutcome) => void
}

/** `retried`: it failed, and there will be another attempt. */
export type DeliveryOutcome = 'delivered' | 'retried' | 'failed' | 'cancelled'

/** What came of an attempt, which is not made where it cannot be signed. */
type Sent = Outcome | { readonly status: null, readonly reason: 'unsigned', readonly detail: string }

const UNSIGNED: Sent = {
  status: null, reason: 'unsigned', detail: 'The secret of the endpoint cannot be opened with the encryption keys of this server; rotate it.'
}

/** Makes one attempt of a delivery, and decides what becomes of it. */
export class Deliverer {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Answers whether it was taken. */
  async deliver (delivery: TakenDelivery, signal: AbortSignal): Promise<boolean> {
    const { endpoints, deliveries, onOutcome } = this.#deps
    const end = async (status: 'delivered' | 'failed' | 'cancelled', attempt?: DeliveryAttempt) => {
      await deliveries.complete(delivery, status, attempt)
      onOutcome(status)
      return status === 'delivered'
    }
    const endpoint = await endpoints.findSigning(delivery.tenantId, delivery.endpointId)
    if (endpoint?.status !== 'enabled') return await end('cancelled')
    const at = new Date()
    const started = performance.now()
    const outcome = await this.#send(endpoint, delivery, at, signal)
    // Nothing is known of it then: whoever takes it next sends it with the same id.
    if (signal.aborted) return false
    const attempt = attemptOf(outcome, at, Math.round(performance.now() - started))
    if (outcome.status !== null && outcome.status >= 200 && outcome.status < 300) {
      if (endpoint.failingSince) await endpoints.noteSuccess(endpoint.tenantId, endpoint.id)
      return await end('delivered', attempt)
    }
    await this.#noteFailure(endpoint, outcome.status)
    const retryAfter = outcome.status === null ? undefined : outcome.retryAfter
    const delayMs = outcome.status === GONE ? undefined : delayAfter(delivery.tries + 1, retryAfter, this.#deps.scheduleMs)
    if (delayMs === undefined) return await end('failed', attempt)
    await deliveries.retry(delivery, attempt, delayMs)
    onOutcome('retried')
    return false
  }

  async #send (endpoint: SigningEndpoint, { eventId, body }: TakenDelivery, at: Date, signal: AbortSignal): Promise<Sent> {
    const opened = this.#secretsOf(endpoint, at)
    if (opened.length === 0) return UNSIGNED
    const headers = sign(eventId, at, body, opened)
    return await this.#deps.http.post({
      url: endpoint.url, headers: { 'content-type': 'application/json', 'user-agent': 'Parley-Webhooks', ...headers }, body, signal
    })
  }

  /** Those that sign now. One that no key opens signs nothing, so that another can take its place. */
  #secretsOf (endpoint: SigningEndpoint, at: Date): string[] {
    const { secret, previous } = endpoint
    const sealed = [secret, ...(previous && previous.until > at ? [previous.secret] : [])]
    return sealed.flatMap((one) => {
      try {
        return this.#deps.secrets.open(one, endpointSecret(endpoint))
      } catch (error) {
        if (error instanceof SecretError) return []
        throw error
      }
    })
  }

  async #noteFailure ({ tenantId, id, failingSince }: SigningEndpoint, status: number | null): Promise<void> {
    if (status === GONE) return await this.#disable(tenantId, id, 'gone')
    // The date is the store's; this look only spares the write that would not change it.
    if (failingSince && Date.now() - failingSince.getTime() < FAILING_MS / 2) return
    const failing = await this.#deps.endpoints.noteFailure(tenantId, id)
    if (failing && failing.now.getTime() - failing.since.getTime() >= FAILING_MS) await this.#disable(tenantId, id, 'failing')
  }

  async #disable (tenantId: string, endpointId: string, reason: DisabledReason): Promise<void> {
    const { endpoints, log } = this.#deps
    if (!await endpoints.disable(tenantId, endpointId, reason, new Date())) return
    const why = reason === 'gone' ? 'it answered 410' : 'it has done nothing but fail for five days'
    log.warn({ tenantId, endpointId, reason }, `a webhook endpoint was disabled: ${why}`)
  }
}

function attemptOf (outcome: Sent, at: Date, latencyMs: number): DeliveryAttempt {
  return outcome.status === null
    ? { at, latencyMs, status: null, error: `${outcome.reason}: ${outcome.detail}`, answer: null }
    : { at, latencyMs, status: outcome.status, error: null, answer: outcome.text }
}
