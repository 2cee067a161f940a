import { type AuthorizationResponse } from './login-provider.ts'

/** The address that the browser came back to, with what counts of what it brought. */
export function callbackUrl (redirectUri: string, { state, code, error, iss }: AuthorizationResponse): URL {
  const url = new URL(redirectUri)
  for (const [name, value] of Object.entries({ state, code, error, iss })) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  return url
}
