import { covers, type Principal } from '../auth/principal.ts'
import { type AuditActor } from '../store/audit-log.ts'

/** Somebody who has shown no credential. */
export const anonymous: AuditActor = { kind: 'anonymous', id: null, keyId: null, role: null }

export function actorOf ({ kind, userId, account, keyId }: Principal): AuditActor {
  return { kind: account ? 'account' : kind, id: account?.id ?? userId ?? keyId ?? null, keyId: keyId ?? null, role: account?.role ?? null }
}

/** A person who reads what others said. A key without `admin`, which serves its own users, is none. */
export function isStaff (principal: Principal): boolean {
  if (principal.scopes.has('admin')) return true
  const isPerson = principal.kind === 'jwt' && principal.keyId === undefined
  return isPerson && covers(principal, 'sessions:read', 'sessions:write')
}

/** Who may change the conversations of others, and not only their own. */
export function mayTouchOthers (principal: Principal): boolean {
  return covers(principal, 'sessions:write')
}
