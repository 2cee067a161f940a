import { headerOf, malformed, missing, type Scheme, secondsIn } from './signed-request.ts'

const PREFIX = 'whsec_'
const MIN_BYTES = 24
const MAX_BYTES = 64

/** The bytes of a secret as Standard Webhooks writes it. Undefined: it is none. */
export function standardKey (secret: string): Buffer | undefined {
  const base64 = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret
  const key = Buffer.from(base64, 'base64')
  const isWhole = key.toString('base64').replace(/=+$/, '') === base64.replace(/=+$/, '')
  return isWhole && key.length >= MIN_BYTES && key.length <= MAX_BYTES ? key : undefined
}

/** Standard Webhooks 1.0: `id.timestamp.body`, base64. An id with a full stop could be read in two ways. */
export const standard: Scheme = {
  keyOf: (secret) => standardKey(secret)!,
  claimOf (request) {
    const [id, time, shown] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => headerOf(request, name))
    if (id === undefined) return missing('webhook-id')
    if (time === undefined) return missing('webhook-timestamp')
    if (shown === undefined) return missing('webhook-signature')
    if (!/^[\x21-\x2d\x2f-\x7e]{1,255}$/.test(id)) return malformed('webhook-id', '1 to 255 printable characters without a full stop')
    const timestamp = secondsIn(time)
    if (timestamp === undefined) return malformed('webhook-timestamp', 'a number of seconds')
    const signatures = shown.split(' ').filter((one) => one.startsWith('v1,'))
    if (signatures.length === 0) return malformed('webhook-signature', 'a list of signatures one of which begins with v1,')
    return { signed: [`${id}.${time}.`, request.body], signatures, encoding: 'base64', prefix: 'v1,', timestamp }
  }
}
