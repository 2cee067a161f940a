import { covers, type Principal } from '../auth/principal.ts'
import { ApiError } from '../errors.ts'
import { type Payer } from '../usage/payers.ts'
import { type Quotas } from '../usage/quotas.ts'

/** Who pays for what is not stored. Throws `forbidden` where that could not be counted against the end user's own quota. */
export async function payerOf (principal: Principal, quotas: Quotas): Promise<Payer> {
  const { tenantId, userId, keyId } = principal
  const payer = { tenantId, userId, keyId: keyId ?? null }
  // Who may speak for anybody is no end user.
  if (covers(principal, 'sessions:write') || await quotas.isCounted(payer)) return payer
  throw new ApiError('forbidden', { detail: 'End users have a quota here, and nothing is known of this one: it takes a session first.' })
}
