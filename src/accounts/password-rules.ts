import { ApiError } from '../errors.ts'
import { commonPasswords, commonStems } from './common-passwords.ts'

interface Person {
  readonly email: string
  readonly name: string
}

const refusal = (message: string) => new ApiError('validation_failed', {
  detail: `The password cannot be used: it ${message}.`, members: { errors: [{ path: '/password', message }] }
})

/** Throws `validation_failed` for a password that many have, or that says who it is of. Its length is the schema's business. */
export function expectGoodPassword (password: string, { email, name }: Person): void {
  const text = password.normalize('NFKC').toLowerCase()
  // "Password2024!" is as common as "password".
  const stem = text.replace(/[^\p{L}]+$/u, '')
  if (commonPasswords.has(text) || commonStems.has(stem) || new Set(text).size < 3) throw refusal('is one that many have')
  const own = [email, email.slice(0, email.indexOf('@')), name, name.replaceAll(/\s+/g, '')].map((word) => word.toLowerCase())
  if (own.includes(text) || own.includes(stem)) throw refusal('is the name or the e-mail address of the account')
}

export const usedBefore = () => refusal('was used for this account before')
