/** The value of a Retry-After header: seconds, or the time that is then. `now` is in milliseconds since 1970. */
export function retryAfterValue (seconds: number, as: 'seconds' | 'date', now: number): string {
  // A date has no fractions: rounded down, it would be too early.
  return as === 'seconds' ? String(seconds) : new Date(Math.ceil(now / 1000 + seconds) * 1000).toUTCString()
}
