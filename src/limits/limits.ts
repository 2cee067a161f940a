import { isIP } from 'node:net'
import { type Config } from '../config.ts'
import { ApiError } from '../errors.ts'
import { type Count } from './counters.ts'
import { limitTable, maxOf, type LimitName } from './limit-table.ts'
import { MemoryCounters } from './memory-counters.ts'

interface LimitsOptions {
  readonly config: Config
  /** What counts as one address: a client of IPv6 has many. */
  readonly normalizeAddress: (address: string) => string
  /** Told of each refusal. */
  readonly onRefused: (name: LimitName) => void
}

/** The limits of the table, by name. */
export class Limits {
  readonly #config: Config
  readonly #normalizeAddress: LimitsOptions['normalizeAddress']
  readonly #onRefused: LimitsOptions['onRefused']
  readonly #memory = new MemoryCounters()

  constructor ({ config, normalizeAddress, onRefused }: LimitsOptions) {
    this.#config = config
    this.#normalizeAddress = normalizeAddress
    this.#onRefused = onRefused
  }

  /** Counts, and throws `rate_limited` where that was more than the limit allows. A limit that is off counts nothing. */
  async hit (name: LimitName, key: string): Promise<void> {
    const max = maxOf(name, this.#config)
    if (max === 0) return
    const { count, resetMs } = await this.count(name, key)
    if (count > max) throw this.refusal(name, max, resetMs)
  }

  /** Counts `key`, which is an address where the limit is one per address. */
  async count (name: LimitName, key: string): Promise<Count> {
    const { windowMs, isPerAddress } = limitTable[name]
    return await this.#memory.count(`${name}:${isPerAddress ? this.#addressKey(key) : key}`, windowMs)
  }

  refusal (name: LimitName, max: number, resetMs: number): ApiError {
    this.#onRefused(name)
    const { counts, window } = limitTable[name]
    return new ApiError('rate_limited', {
      detail: `More than ${max} ${counts} in ${window}.`,
      headers: { 'retry-after': String(Math.ceil(resetMs / 1000)) },
      members: { limit: name }
    })
  }

  /** What is no address, as a proxy may say that is trusted too far, counts as one, so that nobody gains by it. */
  #addressKey (address: string): string {
    return isIP(address) === 0 ? 'none' : this.#normalizeAddress(address)
  }
}
