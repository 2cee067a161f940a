import { ApiError } from '../errors.ts'
import { type Limits } from '../limits/limits.ts'
import { type Store } from '../store/store.ts'
import { type Letters } from './letters.ts'
import { type Passwords } from './passwords.ts'
import { type SignIns } from './sign-ins.ts'

/** What the rules about accounts are made with. */
export interface AccountParts {
  readonly store: Pick<Store, 'tenants' | 'users' | 'refreshFamilies' | 'oneTimeTokens' | 'invitations'>
  readonly passwords: Passwords
  readonly signIns: SignIns
  readonly letters: Letters
  readonly limits: Pick<Limits, 'hit'>
  readonly registration: 'open' | 'closed' | 'invite'
}

/** For a token that was mailed, and is unknown, used, withdrawn or too old. */
export const wrongToken = () => new ApiError('validation_failed', {
  detail: 'The token is not valid, or not any more.', members: { errors: [{ path: '/token', message: 'is not valid, or not any more' }] }
})

/** For an account that was changed by somebody else meanwhile. */
export const changedMeanwhile = () => new ApiError('conflict', { detail: 'The account has changed meanwhile.' })
