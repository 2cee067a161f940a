import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Quotas, QuotasInput, TenantPath, TenantQuota } from '../schemas/quota.ts'
import { guarded, problems } from '../schemas/responses.ts'
import { Ref } from '../schemas/type.ts'

const tags = ['usage']

/** How much of the models may be used. */
const quotaRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  const { quotaBook } = fastify

  fastify.get('/api/quotas', {
    config: { scope: 'admin' },
    schema: { operationId: 'getQuotas', summary: 'Read the quotas of the tenant', tags, response: { 200: Ref(Quotas), ...guarded() } }
  }, async ({ principal }) => await quotaBook.read(principal.tenantId))

  fastify.put('/api/quotas', {
    config: {
      scope: 'admin',
      audit: { action: 'quotas.updated', before: async ({ tenantId }) => await quotaBook.read(tenantId) }
    },
    schema: {
      operationId: 'setQuotas',
      summary: 'Set what each end user and each API key may use',
      description: 'Every replica knows of it within five seconds.',
      tags,
      body: Ref(QuotasInput),
      response: { 200: Ref(Quotas), ...guarded(), ...problems(413, 415) }
    }
  }, async ({ principal, body }) => await quotaBook.set(principal.tenantId, body))

  fastify.put('/api/tenants/:tenantId/quota', {
    config: {
      scope: 'platform',
      audit: { action: 'tenant.quota-updated', target: 'tenantId', before: async (_, tenantId) => await quotaBook.read(tenantId) }
    },
    schema: {
      operationId: 'setTenantQuota',
      summary: 'Set what a tenant may use altogether',
      description: 'Every replica knows of it within five seconds.',
      tags,
      params: TenantPath,
      body: Ref(TenantQuota),
      response: { 200: Ref(Quotas), ...guarded(), ...problems(404, 413, 415) }
    }
  }, async ({ params, body }) => await quotaBook.set(params.tenantId, body))
}

export default quotaRoutes
