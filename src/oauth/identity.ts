import { ApiError } from '../errors.ts'
import { type Identity } from './login-provider.ts'

// Of other letters some become these when they are made small, and then one person's address is another's.
const EMAIL = /^[!-?A-~]{1,64}@[0-9A-Za-z.-]{1,253}$/
const MAX_EMAIL = 254
const MAX_NAME = 120

type Claimed = Pick<Identity, 'provider' | 'subject' | 'emailVerified'> & { readonly email: unknown, readonly name: unknown }

function nameIn (claim: unknown): string | undefined {
  if (typeof claim !== 'string') return undefined
  const clean = claim.replaceAll(/[\p{Cc}\p{Cs}]/gu, ' ').trim()
  return clean === '' ? undefined : Array.from(clean).slice(0, MAX_NAME).join('')
}

/** Makes an identity of what a provider claims. Throws `forbidden` where there is no address to know somebody by. */
export function identityOf ({ email, name: claimedName, ...rest }: Claimed): Identity {
  if (typeof email !== 'string' || email.length > MAX_EMAIL || !EMAIL.test(email)) {
    throw new ApiError('forbidden', { detail: 'The login provider gave no e-mail address to know you by.' })
  }
  const name = nameIn(claimedName)
  return { ...rest, email, ...(name !== undefined && { name }) }
}
