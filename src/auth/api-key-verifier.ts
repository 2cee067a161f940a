import { growingCache } from '../growing-cache.ts'
import { type ApiKeyRepository, type StoredApiKey } from '../store/api-keys.ts'
import { apiKeyPrefix, matchesHash } from './api-key.ts'
import { type Principal } from './principal.ts'
import { Recall } from './recall.ts'

// How exactly it is kept when a key was used last.
const TOUCH_MS = 60_000
const MAX_TOUCHED = 10_000

function principalOf ({ id, prefix, tenantId, scopes, requestsPerMinute }: StoredApiKey): Principal {
  return {
    kind: 'api-key',
    tenantId,
    userId: null,
    scopes: new Set(scopes),
    credential: prefix,
    keyId: id,
    ...(requestsPerMinute !== undefined && { requestsPerMinute })
  }
}

const isAlive = ({ revokedAt, expiresAt }: StoredApiKey) => revokedAt === undefined && (expiresAt?.getTime() ?? Infinity) > Date.now()

/** Whether the text is the key, or what it was before it was rotated, as long as that counts. */
function isKey (key: string, { hash, previous }: StoredApiKey): boolean {
  return matchesHash(key, hash) || (previous !== undefined && previous.until.getTime() > Date.now() && matchesHash(key, previous.hash))
}

/** Tells who a key belongs to, from memory for a few seconds. */
export class ApiKeyVerifier {
  readonly #repository: ApiKeyRepository
  readonly #byPrefix: Recall<StoredApiKey | undefined>
  readonly #byId: Recall<StoredApiKey | undefined>
  readonly #touched = growingCache<true>(MAX_TOUCHED, { ttl: TOUCH_MS })

  constructor (repository: ApiKeyRepository) {
    this.#repository = repository
    this.#byPrefix = new Recall(async (prefix) => await repository.findByPrefix(prefix))
    this.#byId = new Recall(async (id) => await repository.findById(id))
  }

  /** Undefined: the key is not valid. */
  async verify (key: string): Promise<Principal | undefined> {
    const prefix = apiKeyPrefix(key)
    if (prefix === undefined) return undefined
    const stored = await this.#byPrefix.get(prefix)
    return stored && isKey(key, stored) ? this.#use(stored) : undefined
  }

  /** For whoever has something that was made with a key. Undefined: the key may not be used any more. */
  async living (id: string): Promise<Principal | undefined> {
    const stored = await this.#byId.get(id)
    return stored && this.#use(stored)
  }

  /** A key that was changed here: what it is now counts at once, on other replicas within five seconds. */
  forget ({ id, prefix }: Pick<StoredApiKey, 'id' | 'prefix'>): void {
    this.#byPrefix.forget(prefix)
    this.#byId.forget(id)
  }

  #use (stored: StoredApiKey): Principal | undefined {
    if (!isAlive(stored)) return undefined
    this.#touch(stored)
    return principalOf(stored)
  }

  /** Nobody waits for it, and when it fails, the next minute has another try. */
  #touch ({ id }: StoredApiKey): void {
    if (this.#touched.has(id)) return
    this.#touched.set(id, true)
    this.#repository.touch(id).catch(() => {})
  }
}
