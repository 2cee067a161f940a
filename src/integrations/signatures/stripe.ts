import { headerOf, malformed, missing, plainKey, type Scheme, secondsIn } from './signed-request.ts'

const HEADER = 'stripe-signature'

/** Stripe's: `t=…,v1=…,v1=…`, of `timestamp.body`, hexadecimal. The key is the secret as it is written, `whsec_` included. */
export const stripe: Scheme = {
  keyOf: plainKey,
  claimOf (request) {
    const shown = headerOf(request, HEADER)
    if (shown === undefined) return missing(HEADER)
    const parts = shown.split(',')
    const times = parts.filter((part) => part.startsWith('t='))
    const timestamp = times.length === 1 ? secondsIn(times[0]!.slice(2)) : undefined
    const signatures = parts.filter((part) => part.startsWith('v1='))
    if (timestamp === undefined || signatures.length === 0) return malformed(HEADER, 'one t= with a number of seconds, and a v1=')
    return { signed: [`${times[0]!.slice(2)}.`, request.body], signatures, encoding: 'hex', prefix: 'v1=', timestamp }
  }
}
