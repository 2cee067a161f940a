import { LRUCache } from 'lru-cache'
import { type ApiKeyRepository } from '../store/api-keys.ts'
import { apiKeyId, hashApiKey, matchesHash } from './api-key.ts'
import { type Principal } from './principal.ts'

// A key that is revoked elsewhere must be refused within 5 s on every replica.
const TTL_MS = 5000
const MAX_KEYS = 10_000

/** Tells who a key belongs to, from memory for a few seconds. Undefined: the key is not valid. */
export function createApiKeyVerifier (apiKeys: ApiKeyRepository): (key: string) => Promise<Principal | undefined> {
  const known = new LRUCache<string, { principal?: Principal }>({ max: MAX_KEYS, ttl: TTL_MS })

  async function look (id: string, key: string): Promise<Principal | undefined> {
    const stored = await apiKeys.find(id)
    if (!stored || !matchesHash(key, stored.hash)) return undefined
    return {
      kind: 'api-key', tenantId: stored.tenantId, userId: null, scopes: new Set(stored.scopes), credential: stored.id
    }
  }

  return async function verify (key) {
    const id = apiKeyId(key)
    if (id === undefined) return undefined
    const hash = hashApiKey(key)
    const hit = known.get(hash)
    if (hit) return hit.principal
    const principal = await look(id, key)
    known.set(hash, { principal })
    return principal
  }
}
