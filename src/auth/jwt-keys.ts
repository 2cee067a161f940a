import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'

/** The allow-list: what a token may be signed with. */
export type Algorithm = 'HS256' | 'RS256' | 'ES256' | 'EdDSA'

/** What a token may be checked against, with this one algorithm and no other. */
export interface VerificationKey {
  readonly alg: Algorithm
  readonly kid?: string
  /** The secret, or a public key as PEM. */
  readonly key: string
  /** This server's own, or that of an issuer elsewhere. */
  readonly from: 'here' | 'remote'
}

/** What tokens are signed with. */
export interface SigningKey extends VerificationKey {
  /** The secret, or a private key as PEM. */
  readonly signingKey: string
}

/** A public key as it is published. */
export interface PublicJwk extends JsonWebKey {
  readonly kty: string
  readonly kid: string
  readonly alg: Algorithm
  readonly use: 'sig'
}

const JwkSet = TypeCompiler.Compile(Type.Object({
  keys: Type.Array(Type.Object({
    kty: Type.String(),
    crv: Type.Optional(Type.String()),
    kid: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    alg: Type.Optional(Type.String()),
    use: Type.Optional(Type.String())
  }), { maxItems: 100 })
}))

type Jwk = JsonWebKey & { readonly kty: string, readonly kid?: string, readonly alg?: string, readonly use?: string }

const byKind: Readonly<Record<string, Algorithm>> = { RSA: 'RS256', 'EC P-256': 'ES256', 'OKP Ed25519': 'EdDSA' }

const MIN_RSA_BITS = 2048

/** The keys of a JSON Web Key Set. Undefined: it is none. */
export function keysOfSet (set: unknown): readonly Jwk[] | undefined {
  return JwkSet.Check(set) ? set.keys : undefined
}

/** The one algorithm that a key is for: its type decides. Undefined: none of those that are allowed. */
function algorithmOf ({ kty, crv, alg, use }: Jwk): Algorithm | undefined {
  const own = byKind[crv === undefined ? kty : `${kty} ${crv}`]
  return (alg ?? own) === own && (use ?? 'sig') === 'sig' ? own : undefined
}

const isLongEnough = ({ asymmetricKeyDetails }: KeyObject) => (asymmetricKeyDetails?.modulusLength ?? Infinity) >= MIN_RSA_BITS

/** A public key of somebody else. Undefined: not one that tokens may be checked against. */
export function verificationKeyOf (jwk: Jwk): VerificationKey | undefined {
  const alg = algorithmOf(jwk)
  if (alg === undefined) return undefined
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    if (!isLongEnough(key)) return undefined
    return { alg, ...(jwk.kid !== undefined && { kid: jwk.kid }), key: key.export({ type: 'spki', format: 'pem' }) as string, from: 'remote' }
  } catch {
    return undefined
  }
}

/** The name of a key that has none: its thumbprint (RFC 7638). */
function thumbprint ({ crv, e, kty, n, x, y }: JsonWebKey): string {
  // Members that are absent are left out; the others stand in the order of their names.
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url')
}

/** A private key of this server, and its public part as it is published. Throws where it is none of an allowed kind. */
export function signingKeyOf (jwk: Jwk): { key: SigningKey, published: PublicJwk } {
  const alg = algorithmOf(jwk)
  if (alg === undefined) throw new Error('a key is of no kind that is taken')
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' })
  const publicKey = createPublicKey(privateKey)
  if (!isLongEnough(publicKey)) throw new Error(`an RSA key has fewer than ${MIN_RSA_BITS} bits`)
  const shown = publicKey.export({ format: 'jwk' })
  const kid = jwk.kid ?? thumbprint(shown)
  return {
    key: {
      alg,
      kid,
      key: publicKey.export({ type: 'spki', format: 'pem' }) as string,
      signingKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      from: 'here'
    },
    published: { ...shown, kty: shown.kty!, kid, alg, use: 'sig' }
  }
}

/** A shared secret. */
export function secretKey (secret: string): SigningKey {
  return { alg: 'HS256', key: secret, signingKey: secret, from: 'here' }
}
