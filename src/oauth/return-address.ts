import { refusedLogin } from './provider-failure.ts'

// A path or an address that browsers go to, without what some read as if it were not there, or as something else.
const SHAPE = /^(\/|https?:\/\/)[^\\\p{Cc}]*$/u

/**
 * Where a browser may be sent after a login: anywhere on the listed origins, paths being those of the first. It is read as
 * browsers read it and answered as it was read, so that there are no two opinions of where it leads. Throws `validation_failed`.
 */
export function returnAddress (text: string, origins: readonly [string, ...string[]]): string {
  const [home] = origins
  const url = SHAPE.test(text) && URL.canParse(text, home) ? new URL(text, home) : undefined
  if (!url || !origins.includes(url.origin) || url.username !== '' || url.password !== '') {
    throw refusedLogin('/returnTo', 'must be a path or lead to a listed origin', 'After a login, nobody is sent to that address.')
  }
  return url.href
}
