import { Type, type Static } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'

// Longer ones are not looked at; a header field of HTTP is not much longer, either.
const MAX_TOKEN_CHARS = 8192

const PARTS = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/

// What else a header may hold, such as where a key is to be fetched from (`jku`, `x5u`, `jwk`), is never looked at.
const Header = Type.Object({
  alg: Type.Union((['HS256', 'RS256', 'ES256', 'EdDSA'] as const).map((name) => Type.Literal(name))),
  kid: Type.Optional(Type.String({ maxLength: 200 })),
  typ: Type.Optional(Type.String({ pattern: '^(application/)?([Jj][Ww][Tt]|[Aa][Tt]\\+[Jj][Ww][Tt])$' })),
  crit: Type.Optional(Type.Never())
})

const Headers = TypeCompiler.Compile(Header)

/** Of the spellings that decode to the same bytes, only one is taken. */
const isCanonical = (part: string) => Buffer.from(part, 'base64url').toString('base64url') === part

/** Which key a token asks to be checked with. Undefined: it is no token that can be checked here. */
export function headerOf (token: string): Static<typeof Header> | undefined {
  const [, head, , signature] = (token.length <= MAX_TOKEN_CHARS && PARTS.exec(token)) || []
  if (head === undefined || !isCanonical(signature!)) return undefined
  try {
    const header: unknown = JSON.parse(Buffer.from(head, 'base64url').toString('utf8'))
    return Headers.Check(header) ? header : undefined
  } catch {
    return undefined
  }
}
