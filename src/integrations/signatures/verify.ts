import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { type Claim, type Refusal, type Scheme, type SignedRequest } from './signed-request.ts'

/** How far the time of a signature may be from ours, in seconds. */
const TOLERANCE = 300
// More signatures than any sender shows while its secret is changed cost more than they are worth.
const MAX_SIGNATURES = 8

/** The secret that a signature fits, by its place in the list; or why none does. */
export type Verdict = { readonly secret: number } | Refusal

/** What comes before the signatures of one key are compared: whether the request can be right at all. */
function refusalOf ({ signatures, timestamp }: Claim, now: number): Refusal | undefined {
  if (signatures.length > MAX_SIGNATURES) return { reason: 'malformed_header', detail: `There are more than ${MAX_SIGNATURES} signatures.` }
  const age = timestamp === undefined ? 0 : now / 1000 - timestamp
  if (age > TOLERANCE) return { reason: 'timestamp_too_old', detail: `It was signed ${Math.round(age)} seconds ago; ${TOLERANCE} are allowed.` }
  if (age < -TOLERANCE) return { reason: 'timestamp_too_new', detail: `It was signed ${Math.round(-age)} seconds ahead of this server's clock; ${TOLERANCE} are allowed.` }
  return undefined
}

/** Whether two texts are the same, in a time that does not tell where they differ. Hashed: the lengths may differ, too. */
export function isSame (a: string, b: string): boolean {
  return timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'))
}

function signatureOf ({ signed, encoding, prefix }: Claim, key: Buffer): string {
  const hmac = createHmac('sha256', key)
  for (const part of signed) hmac.update(part)
  return prefix + hmac.digest(encoding)
}

/**
 * Checks a signature, at `now` in milliseconds. Texts are compared, not the bytes that they stand for: the last character of
 * base64 may be several ones for the same bytes.
 */
export function verify (scheme: Scheme, secrets: readonly string[], request: SignedRequest, now: number): Verdict {
  const claim = scheme.claimOf(request)
  if ('reason' in claim) return claim
  const refusal = refusalOf(claim, now)
  if (refusal) return refusal
  let found = -1
  // All of them, whichever fits.
  for (const [place, secret] of secrets.entries()) {
    const expected = signatureOf(claim, scheme.keyOf(secret))
    for (const shown of claim.signatures) if (isSame(shown, expected) && found === -1) found = place
  }
  return found === -1 ? { reason: 'no_match', detail: 'The signature is not that of this body by a secret of the integration.' } : { secret: found }
}

/** What probably went wrong where a signature does not fit: what it would fit instead. Of no use to who does not know the secret. */
export function hintOf (scheme: Scheme, secrets: readonly string[], { headers, body }: SignedRequest): string | undefined {
  const text = body.toString('utf8')
  const variants: Array<[hint: string, body: () => string]> = [
    ['It is the signature of the body without the line break at its end.', () => text.replace(/\r?\n$/, '')],
    ['It is the signature of the body with a line break at its end.', () => `${text}\n`],
    ['It is the signature of the same JSON without white space: the body was written anew after it was signed.', () => JSON.stringify(JSON.parse(text))],
    ['It is the signature of the same JSON, indented: the body was written anew after it was signed.', () => JSON.stringify(JSON.parse(text), null, 2)],
    ['It is the signature of an empty body.', () => '']
  ]
  return variants.find(([, other]) => {
    try {
      const claim = scheme.claimOf({ headers, body: Buffer.from(other()) })
      return 'signed' in claim && secrets.some((secret) => claim.signatures.includes(signatureOf(claim, scheme.keyOf(secret))))
    } catch {
      return false
    }
  })?.[0]
}
