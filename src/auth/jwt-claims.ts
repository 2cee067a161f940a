import { createHash } from 'node:crypto'
import { Type, type Static } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { UserId } from '../../schemas/text.ts'
import { type VerificationKey } from './jwt-keys.ts'
import { scopesOf, type Principal, type Role } from './principal.ts'

const Name = Type.String({ pattern: '^[0-9a-f]{24}$' })

const Claims = Type.Object({
  sub: UserId,
  exp: Type.Number(),
  iat: Type.Optional(Type.Number()),
  tid: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' })),
  scope: Type.Optional(Type.String({ maxLength: 1000 })),
  role: Type.Optional(Type.String({ maxLength: 60 })),
  email: Type.Optional(Type.String({ maxLength: 320 })),
  // What says of itself that it is something else, such as a refresh token, is no access token.
  use: Type.Optional(Type.Literal('access')),
  token_use: Type.Optional(Type.Literal('access')),
  fam: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  key: Type.Optional(Name),
  visitor: Type.Optional(Type.Object({ configId: Name, origin: Type.Optional(Type.String({ maxLength: 300 })) }))
})

/** What an access token says. */
export type AccessClaims = Static<typeof Claims>

const Compiled = TypeCompiler.Compile(Claims)

const isRole = (name: string | undefined): name is Role => name !== undefined && Object.hasOwn(scopesOf, name)

/** The claims of an access token. Undefined: they are not such. */
export function accessClaims (claims: unknown): AccessClaims | undefined {
  return Compiled.Check(claims) ? claims : undefined
}

/**
 * The name under which the requests of a token are counted. Without the signature: several signatures of one token may hold,
 * and each would have a rate limit of its own. What is made anew from one sign-in counts together.
 */
function credentialOf ({ fam }: AccessClaims, token: string): string {
  if (fam !== undefined) return `sign-in:${fam}`
  const signed = token.slice(0, token.lastIndexOf('.'))
  return `jwt:${createHash('sha256').update(signed).digest('base64url')}`
}

/** Who a token speaks for that was checked with a key `from` here or elsewhere. */
export function principalOf (claims: AccessClaims, token: string, from: VerificationKey['from']): Principal {
  const { sub, tid = 'default', scope, role, email, fam, key, visitor } = claims
  const scopes = new Set<string>(scope === undefined && isRole(role) ? scopesOf[role] : (scope ?? '').split(' ').filter(Boolean))
  const common = { tenantId: tid, userId: sub, scopes, credential: credentialOf(claims, token) }
  // An issuer elsewhere says who somebody is in a tenant; tenants themselves, and what only this server gives, are not its.
  if (from === 'remote') {
    scopes.delete('platform')
    return { kind: 'jwt', ...common, credential: credentialOf({ ...claims, fam: undefined }, token) }
  }
  return {
    kind: visitor ? 'visitor' : 'jwt',
    ...common,
    // A key has no sessions of its own, and so a token for it has none.
    userId: key !== undefined && !visitor ? null : sub,
    ...(key !== undefined && { keyId: key }),
    ...(visitor && { visitor: { configId: visitor.configId, ...(visitor.origin !== undefined && { origin: visitor.origin }) } }),
    ...(fam !== undefined && email !== undefined && isRole(role) && { account: { id: sub, email, role, familyId: fam } })
  }
}
