import {
  type IssuedWebhookEndpoint, type WebhookEndpoint as EndpointView, type WebhookEndpointInput, type WebhookEndpointPatch,
  type WebhookSecretRotation
} from '../../schemas/webhook-endpoint.ts'
import { type Log } from '../chat/turn-runner.ts'
import { ApiError } from '../errors.ts'
import { type OutgoingHttp } from '../outgoing/outgoing-http.ts'
import { type Secrets } from '../secrets/secrets.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { type WebhookDeliveryRepository } from '../store/webhook-deliveries.ts'
import { endpointSecret, type WebhookEndpoint, type WebhookEndpointRepository } from '../store/webhook-endpoints.ts'
import { type Audience } from './audience.ts'
import { newSigningSecret } from './signing.ts'

const MAX_ENDPOINTS = 50
const OVERLAP_SECONDS = 86_400
const REMOVED_AT_ONCE = 500

const text = (date: Date | null) => date?.toISOString() ?? null

function present (endpoint: WebhookEndpoint): EndpointView {
  const { id, url, description, events, status, disabledReason, disabledAt, failingSince, createdAt, updatedAt } = endpoint
  return {
    id,
    url,
    description,
    events: [...events],
    status,
    disabledReason,
    disabledAt: text(disabledAt),
    failingSince: text(failingSince),
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString()
  }
}

interface Dependencies {
  readonly endpoints: WebhookEndpointRepository
  readonly deliveries: WebhookDeliveryRepository
  readonly audience: Audience
  readonly http: OutgoingHttp
  /** Undefined: secrets cannot be kept here. */
  readonly secrets: Secrets | undefined
  readonly log: Log
}

/** Where the events of a tenant are sent. */
export class WebhookEndpoints {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** Throws `validation_failed` for a URL that would not be asked for. */
  async create (tenantId: string, { url, description, events = [], status = 'enabled' }: WebhookEndpointInput): Promise<IssuedWebhookEndpoint> {
    const { endpoints, audience } = this.#deps
    const secrets = this.#requireSecrets()
    await this.#requireReachable(url)
    if (await endpoints.count(tenantId) >= MAX_ENDPOINTS) {
      throw new ApiError('conflict', { detail: `The tenant has ${MAX_ENDPOINTS} webhook endpoints; delete some first.` })
    }
    const secret = newSigningSecret()
    const seal = (id: string) => secrets.seal(secret, endpointSecret({ tenantId, id }))
    const created = await endpoints.insert({ tenantId, url, description: description ?? null, events, status }, seal, new Date())
    await audience.changed()
    return { ...present(created), secret }
  }

  /** The newest first. */
  async list (tenantId: string, page: PageRequest): Promise<PageOf<EndpointView>> {
    const { data, nextCursor } = await this.#deps.endpoints.page(tenantId, page)
    return { data: data.map(present), nextCursor }
  }

  async get (tenantId: string, id: string): Promise<EndpointView> {
    return present(await this.require(tenantId, id))
  }

  async change (tenantId: string, id: string, patch: WebhookEndpointPatch): Promise<EndpointView> {
    if (patch.url !== undefined) await this.#requireReachable(patch.url)
    const { endpoints, audience } = this.#deps
    const changed = this.#known(id, await endpoints.change(tenantId, id, patch, new Date()))
    await audience.changed()
    return present(changed)
  }

  /** The new secret signs at once, and the old one beside it until the overlap ends. */
  async rotate (tenantId: string, id: string, { overlapSeconds = OVERLAP_SECONDS }: WebhookSecretRotation): Promise<IssuedWebhookEndpoint> {
    const secret = newSigningSecret()
    const sealed = this.#requireSecrets().seal(secret, endpointSecret({ tenantId, id }))
    const now = new Date()
    const until = new Date(now.getTime() + overlapSeconds * 1000)
    return { ...present(this.#known(id, await this.#deps.endpoints.rotate(tenantId, id, sealed, until, now))), secret }
  }

  /** What was not delivered yet is not any more. The log goes in the background; what a crash leaves of it goes after 30 days. */
  async remove (tenantId: string, id: string): Promise<void> {
    const { endpoints, deliveries, log } = this.#deps
    if (!await endpoints.remove(tenantId, id)) throw missing(id)
    const removeLog = async () => { while (!await deliveries.removeOfEndpoint(tenantId, id, REMOVED_AT_ONCE)) { /* the next ones */ } }
    removeLog().catch((err: unknown) => log.warn({ err }, 'the log of a deleted webhook endpoint stays for now'))
  }

  /** Throws `not_found`. */
  async require (tenantId: string, id: string): Promise<WebhookEndpoint> {
    return this.#known(id, await this.#deps.endpoints.find(tenantId, id))
  }

  #known (id: string, endpoint: WebhookEndpoint | undefined): WebhookEndpoint {
    if (!endpoint) throw missing(id)
    return endpoint
  }

  #requireSecrets (): Secrets {
    const { secrets } = this.#deps
    if (!secrets) throw new ApiError('conflict', { detail: 'This server keeps no secrets: ENCRYPTION_KEYS is not set.' })
    return secrets
  }

  async #requireReachable (url: string): Promise<void> {
    const objection = await this.#deps.http.objectionTo(url)
    if (objection === undefined) return
    throw new ApiError('validation_failed', { detail: objection, members: { errors: [{ path: '/url', message: objection }] } })
  }
}

const missing = (id: string) => new ApiError('not_found', { detail: `There is no webhook endpoint ${id}.` })
