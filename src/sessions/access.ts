import { covers, type Principal, type Scope } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type SessionScope } from '../store/sessions.ts'

/**
 * Whose sessions a principal may touch. `sessions:read` or `sessions:write` opens the tenant's; `chat` the caller's own.
 * Throws `forbidden` for a credential that has neither an all-tenant scope nor a user of its own.
 */
export function sessionScope (principal: Principal, all: Extract<Scope, `sessions:${string}`>): SessionScope {
  if (covers(principal, all)) return { tenantId: principal.tenantId }
  if (principal.userId === null) {
    throw new ApiError('forbidden', { detail: `The scope chat covers the caller's own sessions; an API key has none, it needs ${all}.` })
  }
  return { tenantId: principal.tenantId, userId: principal.userId }
}
