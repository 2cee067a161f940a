import { type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AuditPage, AuditQuery } from '../schemas/audit.ts'
import { guarded } from '../schemas/responses.ts'
import { Ref } from '../schemas/type.ts'

/** Reading what was done. */
const auditRoutes: FastifyPluginAsyncTypebox = async (fastify) => {
  fastify.get('/api/audit', {
    config: { scope: 'admin', audit: { action: 'audit.read', only: 'staff-reads' } },
    schema: {
      operationId: 'listAuditEntries',
      summary: 'Read the audit log, the newest entry first',
      tags: ['audit'],
      querystring: AuditQuery,
      response: { 200: Ref(AuditPage), ...guarded() }
    }
  }, async ({ principal, query }) => await fastify.auditLog.list(principal.tenantId, query))
}

export default auditRoutes
