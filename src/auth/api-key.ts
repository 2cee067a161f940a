import { hash, randomInt, timingSafeEqual } from 'node:crypto'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const PATTERN = /^pk_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}$/

const base62 = (length: number) => Array.from({ length }, () => ALPHABET[randomInt(62)]).join('')

/** A fresh API key: `pk_<8>_<32>`, the last part 190 random bits. */
export function newApiKey (): string {
  return newSecretFor(`pk_${base62(8)}`)
}

/** A fresh key with a public part that is given. */
export function newSecretFor (prefix: string): string {
  return `${prefix}_${base62(32)}`
}

/** The public part of a key, under which it is stored; undefined where the text is no key. */
export function apiKeyPrefix (key: string): string | undefined {
  return PATTERN.test(key) ? key.slice(0, 11) : undefined
}

export function hashApiKey (key: string): string {
  return hash('sha256', key, 'hex')
}

/** Compares in constant time. */
export function matchesHash (key: string, hashed: string): boolean {
  return timingSafeEqual(Buffer.from(hashApiKey(key)), Buffer.from(hashed))
}
