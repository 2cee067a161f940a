import { isIP, isIPv6 } from 'node:net'

const MAX_HOPS = 32
const names = ['loopback', 'linklocal', 'uniquelocal']
const bitsOf: Readonly<Record<number, number>> = { 4: 32, 6: 128 }

/** Whether an IPv6 address stands for one of IPv4, in any spelling. */
function isMapped (address: string): boolean {
  return isIPv6(address) && /^\[::ffff:[\da-f]{1,4}:[\da-f]{1,4}\]$/.test(new URL(`http://[${address}]`).hostname)
}

/** Whether this is an address or a network that does not turn out to be everybody. */
function isNetwork (text: string): boolean {
  const [, address, prefix] = /^([\da-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  if (address === undefined || isIP(address) === 0 || isMapped(address)) return false
  return prefix === undefined || (Number(prefix) > 0 && Number(prefix) <= bitsOf[isIP(address)]!)
}

/** Whether the proxy at an address, the n-th on the way from here, is believed; or the addresses of those that are. */
type TrustedProxies = string[] | ((address: string, hop: number) => boolean)

/**
 * Reads which proxies may say where a request comes from: how many stand in front, or their addresses. Undefined: it cannot
 * be read. A network of IPv4 written as IPv6 (`::ffff:10.0.0.0/8`) is refused: its prefix is not of the IPv4 address, and
 * it would trust everybody.
 */
export function trustedProxies (text: string): TrustedProxies | undefined {
  if (/^\d{1,2}$/.test(text)) {
    const hops = Number(text)
    // A number by itself would have the framework trust nobody.
    return hops <= MAX_HOPS ? (_address, hop) => hop < hops : undefined
  }
  const entries = text.split(',').map((entry) => entry.trim())
  return entries.every((entry) => names.includes(entry) || isNetwork(entry)) ? entries : undefined
}
