import { LRUCache } from 'lru-cache'
import { type TenantRepository } from '../store/tenants.ts'

// A tenant that is suspended elsewhere must be refused within 5 s on every replica.
const TTL_MS = 5000
const MAX_TENANTS = 10_000

/** Which tenants may use this server, from memory for a few seconds. */
export class ActiveTenants {
  readonly #known = new LRUCache<string, boolean>({ max: MAX_TENANTS, ttl: TTL_MS })
  readonly #tenants: TenantRepository

  constructor (tenants: TenantRepository) {
    this.#tenants = tenants
  }

  /** A tenant that only credentials name is active. */
  async isActive (id: string): Promise<boolean> {
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const readAt = performance.now()
    const tenant = await this.#tenants.find(id)
    const isActive = tenant?.status !== 'suspended'
    this.#known.set(id, isActive, { start: readAt })
    return isActive
  }
}
