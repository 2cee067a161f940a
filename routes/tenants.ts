import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { TenantId } from '../schemas/account.ts'
import { PageQuery } from '../schemas/page.ts'
import { guarded, problems } from '../schemas/responses.ts'
import { Tenant, TenantPage, TenantPatch } from '../schemas/tenant.ts'
import { Ref, Type } from '../schemas/type.ts'

const tags = ['tenants']
const params = Type.Object({ tenantId: TenantId })

/** The tenants themselves, for whoever runs this server. */
const tenantRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { tenants } = fastify

  fastify.get('/api/tenants', {
    config: { scope: 'platform' },
    schema: {
      operationId: 'listTenants',
      summary: 'List the tenants',
      description: 'Those that have members, or had. A tenant that only credentials name is not among them.',
      tags,
      querystring: PageQuery,
      response: { 200: Ref(TenantPage), ...guarded() }
    }
  }, async ({ query }) => await tenants.list(query))

  fastify.get('/api/tenants/:tenantId', {
    config: { scope: 'platform' },
    schema: {
      operationId: 'getTenant',
      summary: 'Read a tenant',
      tags,
      params,
      response: { 200: Ref(Tenant), ...guarded(), ...problems(404) }
    }
  }, async ({ params }) => await tenants.get(params.tenantId))

  fastify.patch('/api/tenants/:tenantId', {
    config: { scope: 'platform', audit: { action: 'tenant.updated', target: 'tenantId', before: async (_, id) => await tenants.get(id) } },
    schema: {
      operationId: 'patchTenant',
      summary: 'Rename, suspend or reactivate a tenant',
      description: 'All credentials of a suspended tenant are refused with 403, within 5 s on every replica. Nothing of it is lost.',
      tags,
      params,
      body: Ref(TenantPatch),
      response: { 200: Ref(Tenant), ...guarded(), ...problems(404, 409, 413, 415) }
    }
  }, async ({ principal, params, body }) => await tenants.change(principal, params.tenantId, body))
}

export default tenantRoutes
