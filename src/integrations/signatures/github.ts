import { headerOf, missing, plainKey, type Scheme } from './signed-request.ts'

const HEADER = 'x-hub-signature-256'

/** GitHub's, and Meta's: `sha256=` and the body's HMAC, hexadecimal. There is no time in it. */
export const github: Scheme = {
  keyOf: plainKey,
  claimOf (request) {
    const shown = headerOf(request, HEADER)
    if (shown === undefined) return missing(HEADER)
    return { signed: [request.body], signatures: [shown], encoding: 'hex', prefix: 'sha256=' }
  }
}
