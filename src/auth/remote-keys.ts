import { keysOfSet, verificationKeyOf, type Algorithm, type VerificationKey } from './jwt-keys.ts'

// Keys that are withdrawn there stop counting here after this long.
const FRESH_MS = 600_000
// How often the set is asked for at most, whatever tokens come.
const RETRY_MS = 10_000
// How long the last good keys stand in for those that cannot be had.
const STALE_MS = 86_400_000

export interface RemoteKeysLog {
  warn (details: object, message: string): void
}

/**
 * The keys of an issuer elsewhere, as its JSON Web Key Set has them. An unknown key is looked for there, but not more often than every
 * ten seconds; while the issuer is away, the last good keys go on serving, for a day. get-jwks does not do: it asks again for each
 * unknown key, without a bound on how often, how long or how large, and it forgets what it knew a minute after.
 */
export class RemoteKeys {
  readonly #fetchSet: () => Promise<unknown>
  readonly #log: RemoteKeysLog
  #keys: readonly VerificationKey[] = []
  #readAt = -Infinity
  #triedAt = -Infinity
  #reading: Promise<void> | undefined

  constructor (fetchSet: () => Promise<unknown>, log: RemoteKeysLog) {
    this.#fetchSet = fetchSet
    this.#log = log
  }

  async find (alg: Algorithm, kid: string | undefined): Promise<VerificationKey | undefined> {
    const known = this.#known(alg, kid)
    if (performance.now() - this.#readAt < FRESH_MS && known) return known
    const reading = this.#refresh()
    if (known) return known
    await reading
    return this.#known(alg, kid)
  }

  #known (alg: Algorithm, kid: string | undefined): VerificationKey | undefined {
    if (performance.now() - this.#readAt >= STALE_MS) return undefined
    return this.#keys.find((key) => key.alg === alg && key.kid === kid)
  }

  async #refresh (): Promise<void> {
    if (this.#reading) return await this.#reading
    if (performance.now() - this.#triedAt < RETRY_MS) return
    this.#triedAt = performance.now()
    this.#reading = this.#read().finally(() => { this.#reading = undefined })
    await this.#reading
  }

  async #read (): Promise<void> {
    try {
      const keys = keysOfSet(await this.#fetchSet())
      if (!keys) throw new Error('what was answered is no JSON Web Key Set')
      this.#keys = keys.map(verificationKeyOf).filter((key) => key !== undefined)
      this.#readAt = performance.now()
    } catch (error) {
      this.#log.warn({ err: error }, 'the keys at JWT_JWKS_URL could not be had')
    }
  }
}
