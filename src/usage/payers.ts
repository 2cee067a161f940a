import { growingCache } from '../growing-cache.ts'
import { type ErasureRepository, type Person } from '../store/erasures.ts'
import { type UsagePeopleRepository } from '../store/usage-people.ts'

/** Who pays for what a model does. */
export interface Payer {
  readonly tenantId: string
  /** The end user that it is done for. */
  readonly userId: string | null
  /** The API key that it was asked with. */
  readonly keyId: string | null
}

// How long after an erasure another replica may write a name that nobody can trace.
const KNOWN_MS = 60_000
const MAX_KNOWN = 20_000

/** What stands for end users in the ledger, from memory where it can be. */
export class Pseudonyms {
  readonly #people: UsagePeopleRepository
  readonly #erasures: ErasureRepository
  readonly #known = growingCache<string>(MAX_KNOWN, { ttl: KNOWN_MS })

  constructor (people: UsagePeopleRepository, erasures: ErasureRepository) {
    this.#people = people
    this.#erasures = erasures
  }

  /** Null: it is for nobody in particular, or for somebody of whom nothing is kept. */
  async of ({ tenantId, userId }: Payer): Promise<string | null> {
    return userId === null ? null : await this.#of({ tenantId, userId })
  }

  async #of (person: Person): Promise<string | null> {
    const key = JSON.stringify([person.tenantId, person.userId])
    const known = this.#known.get(key) ?? await this.#people.find(person) ?? await this.#name(person)
    if (known !== null) this.#known.set(key, known)
    return known
  }

  /** An erasure hides the sessions of its person first, and has them forgotten here then. One of the two always notices. */
  async #name (person: Person): Promise<string | null> {
    if (!await this.#erasures.anyPresent(person)) return null
    const name = await this.#people.name(person)
    if (await this.#erasures.anyPresent(person)) return name
    await this.#people.forget(person)
    return null
  }
}
