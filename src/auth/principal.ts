/** What a credential may cover. `admin` is everything within the tenant. */
export const scopes = [
  'configs:read', 'configs:write', 'sessions:read', 'sessions:write', 'chat', 'webhooks:read', 'webhooks:write', 'admin'
] as const

export type Scope = typeof scopes[number]

/** Who is asking. */
export interface Principal {
  readonly kind: 'api-key' | 'jwt'
  readonly tenantId: string
  /** The `sub` of a JWT; API keys have none. */
  readonly userId: string | null
  readonly scopes: ReadonlySet<string>
  /** Names the credential for the rate limit and, for API keys, the log; never the secret itself. */
  readonly credential: string
}

/** Whether any one of `needed` is covered. */
export function covers (principal: Principal, ...needed: Scope[]): boolean {
  return principal.scopes.has('admin') || needed.some((scope) => principal.scopes.has(scope))
}
