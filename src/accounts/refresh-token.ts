import { hashSecret, newSecret } from './secrets.ts'

const PATTERN = /^rt_([0-9a-f]{24})\.([\w-]{43})\.([\w-]{43})$/

/** What a refresh token is made of. */
export interface RefreshToken {
  readonly familyId: string
  /** All tokens of a family share it: who shows another one has guessed, and has not had any of them. */
  readonly familySecret: string
  /** Of this token alone. */
  readonly secret: string
}

export function newRefreshToken (familyId: string, familySecret = newSecret()): RefreshToken {
  return { familyId, familySecret, secret: newSecret() }
}

export function writeRefreshToken ({ familyId, familySecret, secret }: RefreshToken): string {
  return `rt_${familyId}.${familySecret}.${secret}`
}

/** Undefined: this is no refresh token. */
export function readRefreshToken (text: string): RefreshToken | undefined {
  const [, familyId, familySecret, secret] = PATTERN.exec(text) ?? []
  if (familyId === undefined || familySecret === undefined || secret === undefined) return undefined
  return { familyId, familySecret, secret }
}

/** What a browser must say beside its cookie: only who was given it by an answer knows it, and it is good for this family. */
export function csrfTokenOf ({ familySecret }: RefreshToken): string {
  return hashSecret(`csrf ${familySecret}`)
}
