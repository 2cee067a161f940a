import { Value } from '@sinclair/typebox/value'
import { EmailAddress } from '../../schemas/account.ts'
import { ApiError } from '../errors.ts'
import { type Identity } from './login-provider.ts'

const MAX_NAME = 120

type Claimed = Pick<Identity, 'provider' | 'subject' | 'emailVerified'> & { readonly email: unknown, readonly name: unknown }

function nameIn (claim: unknown): string | undefined {
  if (typeof claim !== 'string') return undefined
  const clean = claim.replaceAll(/[\p{Cc}\p{Cs}]/gu, ' ').trim()
  return clean === '' ? undefined : Array.from(clean).slice(0, MAX_NAME).join('')
}

/** Makes an identity of what a provider claims. Throws `forbidden` where there is no address to know somebody by. */
export function identityOf ({ email, name: claimedName, ...rest }: Claimed): Identity {
  if (!Value.Check(EmailAddress, email)) {
    throw new ApiError('forbidden', { detail: 'The login provider gave no e-mail address to know you by.' })
  }
  const name = nameIn(claimedName)
  return { ...rest, email, ...(name !== undefined && { name }) }
}
