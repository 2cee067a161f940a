import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** A secret of 256 bits, in 43 characters that may stand in any link. */
export function newSecret (): string {
  return randomBytes(32).toString('base64url')
}

/** What is stored of a secret. It is random, so a fast hash is enough. */
export function hashSecret (secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

/** Compares two texts in constant time. */
export function isSame (a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest())
}
