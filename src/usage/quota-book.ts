import { type Log } from '../chat/turn-runner.ts'
import { type Bus } from '../bus/bus.ts'
import { type Limits, limitNames, type OwnQuotas, type QuotaSettings, type QuotaSettingsRepository, type StoredQuotas } from '../store/quota-settings.ts'

// Replicas promise to know of a change within five seconds, also where the bus loses the hint.
const REFRESH_MS = 3000
// A change may be seen a moment after one that is dated later.
const OVERLAP_MS = 10_000
const TOPIC = 'quotas-changed'

const limits = (settings: Limits) => limitNames.some((name) => settings[name] > 0)

/** The quotas of all tenants that have some, in memory, so that no turn has to ask for them. */
export class QuotaBook {
  readonly #repository: QuotaSettingsRepository
  readonly #bus: Bus
  readonly #defaults: QuotaSettings
  readonly #isLimitedByDefault: boolean
  /** Undefined: the tenant has lifted those of the deployment. */
  readonly #byTenant = new Map<string, QuotaSettings | undefined>()
  readonly #timer: NodeJS.Timeout
  #newest = new Date(0)
  #running: Promise<void> | undefined

  constructor (repository: QuotaSettingsRepository, bus: Bus, defaults: QuotaSettings, log: Log) {
    this.#repository = repository
    this.#bus = bus
    this.#defaults = defaults
    this.#isLimitedByDefault = Object.values(defaults).some(limits)
    const refresh = () => {
      this.refresh().catch((error: unknown) => log.warn({ err: error }, 'the quotas could not be read; those known before hold'))
    }
    this.#timer = setInterval(refresh, REFRESH_MS)
    bus.subscribe(TOPIC, refresh)
  }

  /** The quotas that hold for a tenant. Undefined: there are none. */
  of (tenantId: string): QuotaSettings | undefined {
    if (this.#byTenant.has(tenantId)) return this.#byTenant.get(tenantId)
    return this.#isLimitedByDefault ? this.#defaults : undefined
  }

  /** The quotas of a tenant as they are stored, with those of the deployment where it has none of its own. */
  async read (tenantId: string): Promise<QuotaSettings> {
    return this.#merge(await this.#repository.find(tenantId))
  }

  async set (tenantId: string, settings: OwnQuotas): Promise<QuotaSettings> {
    const stored = await this.#repository.set(tenantId, settings)
    this.#keep(stored)
    this.#bus.publish(TOPIC, {})
    return this.#merge(stored)
  }

  /** Learns what has changed. */
  async refresh (): Promise<void> {
    this.#running ??= this.#refresh().finally(() => { this.#running = undefined })
    await this.#running
  }

  close (): void {
    clearInterval(this.#timer)
  }

  async #refresh (): Promise<void> {
    const found = await this.#repository.since(new Date(this.#newest.getTime() - OVERLAP_MS))
    found.forEach((settings) => this.#keep(settings))
  }

  #keep (settings: StoredQuotas): void {
    const { tenantId, updatedAt } = settings
    const holding = this.#merge(settings)
    const isLimited = Object.values(holding).some(limits)
    if (isLimited || this.#isLimitedByDefault) this.#byTenant.set(tenantId, isLimited ? holding : undefined)
    else this.#byTenant.delete(tenantId)
    if (updatedAt > this.#newest) this.#newest = updatedAt
  }

  #merge (own: OwnQuotas | undefined): QuotaSettings {
    const { tenant, perUser, perKey } = this.#defaults
    return { tenant: { ...tenant, ...own?.tenant }, perUser: { ...perUser, ...own?.perUser }, perKey: { ...perKey, ...own?.perKey } }
  }
}
