import { type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type PageOf, type PageRequest } from '../store/page.ts'
import { type Tenant, type TenantRepository } from '../store/tenants.ts'

const unknown = () => new ApiError('not_found', { detail: 'There is no such resource.' })

/** The tenants, as those see them who look after all of them. */
export class Tenants {
  readonly #tenants: TenantRepository

  constructor (tenants: TenantRepository) {
    this.#tenants = tenants
  }

  async list (request: PageRequest): Promise<PageOf<Tenant>> {
    return await this.#tenants.page(request)
  }

  async get (id: string): Promise<Tenant> {
    const tenant = await this.#tenants.find(id)
    if (!tenant) throw unknown()
    return tenant
  }

  /** Throws `not_found`, and `conflict` for who would shut themselves out. */
  async change ({ tenantId }: Principal, id: string, changed: Partial<Pick<Tenant, 'name' | 'status'>>): Promise<Tenant> {
    if (id === tenantId && changed.status === 'suspended') {
      throw new ApiError('conflict', { detail: 'Your own tenant cannot be suspended.' })
    }
    const tenant = await this.#tenants.change(id, changed)
    if (!tenant) throw unknown()
    return tenant
  }
}
