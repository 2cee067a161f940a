import { type HmacPlace } from '../../store/integrations.ts'
import { headerOf, missing, plainKey, type Scheme } from './signed-request.ts'

/** The body's HMAC in a header of the sender's own. There is no time in it. */
export const hmac = ({ header, encoding, prefix }: HmacPlace): Scheme => ({
  keyOf: plainKey,
  claimOf (request) {
    const shown = headerOf(request, header.toLowerCase())
    if (shown === undefined) return missing(header)
    return { signed: [request.body], signatures: [shown], encoding, prefix }
  }
})
