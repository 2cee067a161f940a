import { hash } from 'node:crypto'
import { isIP } from 'node:net'
import { growingCache } from '../growing-cache.ts'
import { type Config } from '../config.ts'
import { ApiError } from '../errors.ts'
import { type Count, type Counters } from './counters.ts'
import { GatheredCounters } from './gathered-counters.ts'
import { GuardedCounters, type LimitsLog } from './guarded-counters.ts'
import { limitTable, maxOf, type LimitName } from './limit-table.ts'
import { MemoryCounters } from './memory-counters.ts'

// Of those who are over their limit, this many are remembered.
const MAX_FULL = 10_000

interface LimitsOptions {
  readonly config: Config
  /** Where all processes count together. None: this one counts for itself. */
  readonly shared: Counters | undefined
  /** What counts as one address: a client of IPv6 has many. */
  readonly normalizeAddress: (address: string) => string
  /** Told of each refusal. */
  readonly onRefused: (name: LimitName) => void
  readonly log: LimitsLog
  /** Instead of the windows of the table. */
  readonly windowMs?: number | undefined
}

/** The limits of the table, by name. */
export class Limits {
  readonly #config: Config
  readonly #shared: GuardedCounters | undefined
  readonly #normalizeAddress: LimitsOptions['normalizeAddress']
  readonly #onRefused: LimitsOptions['onRefused']
  readonly #windowMs: number | undefined
  /** One each, so that a flood of addresses does not push the counts of accounts out. */
  readonly #memory = new Map<LimitName, MemoryCounters>()
  /** Whose windows are full elsewhere: who asks again and again costs that nothing. */
  readonly #full = growingCache<{ count: number, until: number }>(MAX_FULL)

  constructor ({ config, shared, normalizeAddress, onRefused, log, windowMs }: LimitsOptions) {
    this.#config = config
    this.#shared = shared && new GuardedCounters(new GatheredCounters(shared), log)
    this.#normalizeAddress = normalizeAddress
    this.#onRefused = onRefused
    this.#windowMs = windowMs
  }

  /** Counts, and throws `rate_limited` where that was more than the limit allows. A limit that is off counts nothing. */
  async hit (name: LimitName, key: string): Promise<void> {
    const max = maxOf(name, this.#config)
    if (max === 0) return
    const { count, resetMs } = await this.count(name, key, max)
    if (count > max) throw this.refusal(name, max, resetMs)
  }

  /** Counts `key`, which is an address where the limit is one per address. Above `max` it may stop to count. */
  async count (name: LimitName, key: string, max: number): Promise<Count> {
    const { isPerAddress } = limitTable[name]
    const counted = isPerAddress ? this.#addressKey(key) : key
    return await (this.#shared ? this.#countTogether(this.#shared, name, counted, max) : this.#countHere(name, counted))
  }

  /** What is thrown at who is over a limit. */
  refusal (name: LimitName, max: number, resetMs: number): ApiError {
    this.#onRefused(name)
    const { counts, window } = limitTable[name]
    return new ApiError('rate_limited', {
      detail: `More than ${max} ${counts} in ${window}.`,
      headers: { 'retry-after': String(Math.ceil(resetMs / 1000)) },
      members: { limit: name }
    })
  }

  async #countHere (name: LimitName, key: string): Promise<Count> {
    let counters = this.#memory.get(name)
    if (!counters) this.#memory.set(name, counters = new MemoryCounters())
    return await counters.count(key, this.#windowOf(name))
  }

  async #countTogether (shared: GuardedCounters, name: LimitName, key: string, max: number): Promise<Count> {
    // Nothing personal leaves this process in clear, and nothing long.
    const id = hash('sha256', `${name}:${key}`, 'base64url')
    const asked = Math.floor(performance.now())
    const full = this.#full.get(id)
    if (full && full.count > max && full.until > asked) return { count: full.count, resetMs: full.until - asked }
    try {
      const { count, resetMs } = await shared.count(id, this.#windowOf(name), max)
      // From before it was asked: better asked once too often than refused after the end.
      if (count > max) this.#full.set(id, { count, until: asked + resetMs })
      return { count, resetMs }
    } catch (error) {
      if (limitTable[name].whenAway === 'open') return await this.#countHere(name, key)
      throw new ApiError('store_unavailable', { cause: error, headers: { 'retry-after': '1' } })
    }
  }

  #windowOf (name: LimitName): number {
    return this.#windowMs ?? limitTable[name].windowMs
  }

  /** What is no address, as a proxy may say that is trusted too far, counts as one, so that nobody gains by it. */
  #addressKey (address: string): string {
    return isIP(address) === 0 ? 'none' : this.#normalizeAddress(address)
  }
}
