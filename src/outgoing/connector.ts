import { isIP } from 'node:net'
import { buildConnector } from 'undici'
import { type Guard } from './guard.ts'

const CONNECT_MS = 5000
const MAX_ADDRESSES = 4
// After that, no other address is tried.
const TRYING_MS = 8000

type Outcome = Parameters<buildConnector.Callback>

/**
 * Connects to an address that was checked a moment ago, and not to a name: a server that answers otherwise when it is
 * asked again is not asked again. Certificates are still those of the name.
 */
export function guardedConnector (guard: Guard): buildConnector.connector {
  const connect = buildConnector({ timeout: CONNECT_MS, allowH2: false })

  async function connectTo (options: buildConnector.Options): Promise<Outcome> {
    const { hostname, protocol } = options
    const isSecureName = protocol === 'https:' && isIP(hostname.replace(/^\[(.*)\]$/, '$1')) === 0
    const { servername: _servername, ...rest } = options
    const ofName = { ...rest, ...(isSecureName && { servername: hostname.replace(/\.$/, '') }) }
    let outcome: Outcome = [new Error('there is no address'), null]
    const addresses = await guard.addressesOf({ hostname, protocol })
    const began = performance.now()
    for (const address of addresses.slice(0, MAX_ADDRESSES)) {
      outcome = await new Promise((resolve) => { connect({ ...ofName, hostname: address }, (...result) => resolve(result)) })
      if (outcome[0] === null || performance.now() - began > TRYING_MS) break
    }
    return outcome
  }

  return (options, callback) => {
    connectTo(options).then((outcome) => callback(...outcome), (error: Error) => callback(error, null))
  }
}
