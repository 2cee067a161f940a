import { type AccountTenants, type Profile, type Registered } from '../../schemas/account.ts'
import { type Invitation as InvitationView, type Member as MemberView } from '../../schemas/member.ts'
import { type Tenant as TenantView } from '../../schemas/tenant.ts'
import { type Invitation } from '../store/invitations.ts'
import { type Member, type Membership, type Tenant } from '../store/tenants.ts'
import { type User } from '../store/users.ts'

export const tenantView = ({ id, name, status, createdAt }: Tenant): TenantView => ({ id, name, status, createdAt: createdAt.toISOString() })

export const registeredView = ({ id, email, name }: User, tenant: Tenant): Registered =>
  ({ user: { id, email, name, role: 'owner' }, tenant: { id: tenant.id, name: tenant.name } })

export const profileView = (user: User, { role, tenant }: Membership): Profile => ({
  id: user.id,
  email: user.email,
  emailVerified: user.emailVerifiedAt !== null,
  pendingEmail: user.pendingEmail,
  name: user.name,
  role,
  tenant: { id: tenant.id, name: tenant.name },
  hasPassword: user.passwordHash !== null,
  createdAt: user.createdAt.toISOString()
})

export const ownTenantView = ({ tenant: { id, name, status }, role, joinedAt }: Membership): AccountTenants['data'][number] =>
  ({ id, name, role, status, joinedAt: joinedAt.toISOString() })

export const memberView = ({ role, joinedAt }: Member, { id, email, emailVerifiedAt, name }: User): MemberView =>
  ({ id, email, emailVerified: emailVerifiedAt !== null, name, role, joinedAt: joinedAt.toISOString() })

export const invitationView = ({ id, email, role, createdAt, expiresAt }: Invitation): InvitationView =>
  ({ id, email, role, createdAt: createdAt.toISOString(), expiresAt: expiresAt.toISOString() })
