import { createHash } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { UserId } from '../../schemas/text.ts'
import { type Principal } from './principal.ts'

const Claims = TypeCompiler.Compile(Type.Object({
  sub: UserId,
  exp: Type.Number(),
  tid: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' })),
  scope: Type.Optional(Type.String({ maxLength: 1000 }))
}))

/** Who a verified token speaks for. Undefined: its claims are not those of an access token of ours. */
export function principalOf (claims: unknown, token: string): Principal | undefined {
  if (!Claims.Check(claims)) return undefined
  // Without the signature: several spellings of it decode to the same bytes, and each would have a rate limit of its own.
  const signed = token.slice(0, token.lastIndexOf('.'))
  return {
    kind: 'jwt',
    tenantId: claims.tid ?? 'default',
    userId: claims.sub,
    scopes: new Set((claims.scope ?? '').split(' ').filter(Boolean)),
    credential: `jwt:${createHash('sha256').update(signed).digest('base64url')}`
  }
}
