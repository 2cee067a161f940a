import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6
type Network = readonly [Address, number]

// All addresses that are given to anybody. What else there is stands for other networks or for IPv4 addresses.
const GLOBAL_IPV6: Network = ipaddr.parseCIDR('2000::/3')
// The virtual machines of Azure find their platform there, at an address that looks like any other.
const AZURE_PLATFORM: Network = ipaddr.parseCIDR('168.63.129.16/32')

/** Reads networks in CIDR notation, separated by commas. Undefined: it is not that, or one of IPv4 written as IPv6, which means two things. */
export function parseNetworks (text: string): Network[] | undefined {
  const parts = text.split(',').map((part) => part.trim()).filter((part) => part !== '')
  if (!parts.every((part) => ipaddr.isValidCIDR(part))) return undefined
  const networks = parts.map((part) => ipaddr.parseCIDR(part))
  return networks.some(([address]) => address.range() === 'ipv4Mapped') ? undefined : networks
}

const isIn = (address: Address, [network, bits]: Network) => address.kind() === network.kind() && address.match(network, bits)

/** Which addresses may be reached: those of the public internet, and those of networks that the operator has named. */
export class Networks {
  readonly #named: readonly Network[]

  constructor (named: readonly Network[]) {
    this.#named = named
  }

  /** `named`: in a network that the operator has named; `public`: anywhere else on the internet. Undefined: not to be reached. */
  kindOf (text: string): 'named' | 'public' | undefined {
    if (!ipaddr.isValid(text)) return undefined
    // An IPv4 address is one, also when it is written as an IPv6 address.
    const address = ipaddr.process(text)
    if (this.#named.some((network) => isIn(address, network))) return 'named'
    const isPublic = address.range() === 'unicast' && !isIn(address, AZURE_PLATFORM) &&
      (address.kind() === 'ipv4' || isIn(address, GLOBAL_IPV6))
    return isPublic ? 'public' : undefined
  }
}
