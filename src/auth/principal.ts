/**
 * What a credential may cover. `admin` is everything within the tenant; `platform` is about the tenants themselves and
 * is covered by nothing else.
 */
export const scopes = [
  'configs:read', 'configs:write', 'sessions:read', 'sessions:write', 'chat', 'webhooks:read', 'webhooks:write', 'admin', 'platform'
] as const

export type Scope = typeof scopes[number]

/** What a person is in a tenant. */
export const roles = ['owner', 'admin', 'member', 'viewer'] as const

export type Role = typeof roles[number]

/** The one table of what a role covers. */
export const scopesOf: Readonly<Record<Role, readonly Scope[]>> = {
  owner: ['admin'],
  admin: ['admin'],
  member: ['configs:read', 'configs:write', 'sessions:read', 'sessions:write', 'chat', 'webhooks:read', 'webhooks:write'],
  viewer: ['configs:read', 'sessions:read', 'webhooks:read']
}

/** Who is asking. */
export interface Principal {
  readonly kind: 'api-key' | 'jwt' | 'visitor'
  readonly tenantId: string
  /** The `sub` of a JWT; API keys have none. */
  readonly userId: string | null
  readonly scopes: ReadonlySet<string>
  /** Names the credential for the rate limit and, for API keys, the log; never the secret itself. */
  readonly credential: string
  /** The API key that this is, or that the token was made with. */
  readonly keyId?: string
  /** A person who has signed in here; `familyId` names the sign-in. */
  readonly account?: { readonly id: string, readonly email: string, readonly role: Role, readonly familyId: string }
  /** What the token of a visitor is bound to. */
  readonly visitor?: { readonly configId: string, readonly origin?: string }
  /** Requests per minute that this credential has, where they are not those of everybody. */
  readonly requestsPerMinute?: number
}

/** Whether any one of `needed` is covered. */
export function covers ({ scopes }: Pick<Principal, 'scopes'>, ...needed: Scope[]): boolean {
  return needed.some((scope) => scopes.has(scope) || (scope !== 'platform' && scopes.has('admin')))
}
