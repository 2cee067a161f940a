import { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { OutgoingError } from './refusal.ts'

const UNKNOWN = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME', 'EBADQUERY'])

/**
 * The addresses of hosts, by DNS itself: the system's way to ask blocks a thread for each name, and there are four. What a
 * machine's own table of hosts says does not count.
 */
export class HostNames {
  readonly #resolver = new Resolver({ timeout: 2000, tries: 2 })

  /** Unset: the servers that the system is set to. */
  constructor (servers?: readonly string[]) {
    if (servers) this.#resolver.setServers(servers)
  }

  /** All addresses of a host of a URL. Throws `OutgoingError`. */
  async addressesOf (hostname: string): Promise<string[]> {
    const name = hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
    if (isIP(name)) return [name]
    if (/^(.*\.)?localhost$/i.test(name)) return ['127.0.0.1', '::1']
    const answers = await Promise.allSettled([this.#resolver.resolve4(name), this.#resolver.resolve6(name)])
    const addresses = answers.flatMap((answer) => answer.status === 'fulfilled' ? answer.value : [])
    if (addresses.length > 0) return addresses
    const isUnknown = answers.every((answer) => answer.status === 'rejected' && UNKNOWN.has((answer.reason as NodeJS.ErrnoException).code ?? ''))
    throw new OutgoingError('unknown_host', isUnknown ? 'The host is not known.' : 'The host could not be looked up.')
  }

  close (): void {
    this.#resolver.cancel()
  }
}
