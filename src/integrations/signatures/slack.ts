import { headerOf, malformed, missing, plainKey, type Scheme, secondsIn } from './signed-request.ts'

const TIME = 'x-slack-request-timestamp'
const SIGNATURE = 'x-slack-signature'

/** Slack's: `v0:timestamp:body`, hexadecimal. */
export const slack: Scheme = {
  keyOf: plainKey,
  claimOf (request) {
    const [time, shown] = [headerOf(request, TIME), headerOf(request, SIGNATURE)]
    if (time === undefined) return missing(TIME)
    if (shown === undefined) return missing(SIGNATURE)
    const timestamp = secondsIn(time)
    if (timestamp === undefined) return malformed(TIME, 'a number of seconds')
    return { signed: [`v0:${time}:`, request.body], signatures: [shown], encoding: 'hex', prefix: 'v0=', timestamp }
  }
}
