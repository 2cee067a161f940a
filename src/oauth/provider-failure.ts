import { AuthorizationResponseError, ResponseBodyError } from 'openid-client'
import { ApiError } from '../errors.ts'

// GitHub has a word of its own for it.
const REFUSED_CODES = ['invalid_grant', 'bad_verification_code']

/** What happened, in words alone: the errors of the library carry answers of providers, and these carry tokens. */
function reasonsOf (error: unknown): string {
  if (!(error instanceof Error)) return 'no reason'
  const told = error instanceof ResponseBodyError || error instanceof AuthorizationResponseError ? ` (${error.error.slice(0, 100)})` : ''
  return `${error.message}${told}` + (error.cause instanceof Error ? `: ${reasonsOf(error.cause)}` : '')
}

/** A login that cannot go on because of what the browser brought. */
export function refusedLogin (path: string, message: string, detail: string): ApiError {
  return new ApiError('validation_failed', { detail, members: { errors: [{ path, message }] } })
}

/** Tells what went wrong with a provider; what it says of it itself is for the log. */
export function providerFailure (error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof AuthorizationResponseError && error.error === 'access_denied') {
    return new ApiError('forbidden', { detail: 'The login was refused at the provider.' })
  }
  if (error instanceof ResponseBodyError && REFUSED_CODES.includes(error.error)) {
    return refusedLogin('/code', 'must be a fresh code of the provider', 'The login provider does not take this code. Begin again.')
  }
  return new ApiError('upstream_failed', {
    detail: 'The login provider is away or did not answer as it should.',
    cause: new Error(`login provider: ${reasonsOf(error)}`)
  })
}
