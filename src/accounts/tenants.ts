import { type Tenant, type TenantPatch } from '../../schemas/tenant.ts'
import { type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { type TenantRepository } from '../store/tenants.ts'
import { tenantView } from './views.ts'

const unknown = () => new ApiError('not_found', { detail: 'There is no such resource.' })

/** The tenants, as those see them who look after all of them. */
export class Tenants {
  readonly #tenants: TenantRepository

  constructor (tenants: TenantRepository) {
    this.#tenants = tenants
  }

  async list (request: PageRequest): Promise<PageOf<Tenant>> {
    const { data, nextCursor } = await this.#tenants.page(request)
    return { data: data.map(tenantView), nextCursor }
  }

  async get (id: string): Promise<Tenant> {
    const tenant = await this.#tenants.find(id)
    if (!tenant) throw unknown()
    return tenantView(tenant)
  }

  /** Throws `not_found`, and `conflict` for who would shut themselves out. */
  async change ({ tenantId }: Principal, id: string, changed: TenantPatch): Promise<Tenant> {
    if (id === tenantId && changed.status === 'suspended') {
      throw new ApiError('conflict', { detail: 'Your own tenant cannot be suspended.' })
    }
    // Nothing to change is no update for the store.
    const tenant = await (Object.keys(changed).length === 0 ? this.#tenants.find(id) : this.#tenants.change(id, changed))
    if (!tenant) throw unknown()
    return tenantView(tenant)
  }
}
