import { type HostNames } from './host-names.ts'
import { type Networks } from './networks.ts'
import { OutgoingError } from './refusal.ts'

/** What may be asked for: decided by the URL, and by every address that its host has. */
export class Guard {
  readonly #names: HostNames
  readonly #networks: Networks
  readonly #needsTls: boolean

  constructor ({ names, networks, needsTls }: { readonly names: HostNames, readonly networks: Networks, readonly needsTls: boolean }) {
    this.#names = names
    this.#networks = networks
    this.#needsTls = needsTls
  }

  /** A URL that may be asked for, as far as it itself can tell. Throws `OutgoingError`. */
  url (text: string): URL {
    if (!URL.canParse(text)) throw refused('That is not a URL.')
    const url = new URL(text)
    if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused('Only https and http are spoken here.')
    if (url.username !== '' || url.password !== '') throw refused('The URL must not name a user or a password.')
    return url
  }

  /**
   * The addresses to connect to. One that may not be reached refuses all: who can give a host two addresses would choose by
   * luck otherwise. Throws `OutgoingError`.
   */
  async addressesOf ({ hostname, protocol }: { readonly hostname: string, readonly protocol: string }): Promise<string[]> {
    const addresses = await this.#names.addressesOf(hostname)
    const kinds = addresses.map((address) => this.#networks.kindOf(address))
    if (kinds.includes(undefined)) throw refused('The host is in a network that may not be reached from here.')
    if (this.#needsTls && protocol === 'http:' && kinds.includes('public')) throw refused('The connection would not be encrypted; use https.')
    return addresses
  }
}

const refused = (message: string) => new OutgoingError('refused', message)
