import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError, type Config } from '../config.ts'
import { type ApiKeyRepository } from '../store/api-keys.ts'
import { apiKeyPrefix, hashApiKey, newApiKey } from './api-key.ts'

/** Where the key of the first run is kept. */
export const firstKeyFile = (config: Config) => join(config.DATA_DIR, 'api-key')

async function storeOperatorsKey (apiKeys: ApiKeyRepository, key: string, name: string, isGiven: boolean): Promise<void> {
  await apiKeys.upsert({
    prefix: apiKeyPrefix(key)!, tenantId: 'default', name, scopes: ['admin', 'platform'], createdAt: new Date(), isGiven
  }, hashApiKey(key))
}

/**
 * Sees to it that somebody can use this server: stores `BOOTSTRAP_API_KEY`, or makes a key on the first start outside
 * production and keeps it in `DATA_DIR/api-key`. Returns a key made now, to be shown once.
 * Throws `ConfigError` where production would start with no key at all.
 */
export async function ensureFirstKey (config: Config, apiKeys: ApiKeyRepository): Promise<string | undefined> {
  if (config.BOOTSTRAP_API_KEY !== undefined) {
    await storeOperatorsKey(apiKeys, config.BOOTSTRAP_API_KEY, 'bootstrap', true)
    return undefined
  }
  if (await apiKeys.any()) return undefined
  if (config.NODE_ENV === 'production') {
    throw new ConfigError('BOOTSTRAP_API_KEY must be set: the store is empty, and in production no key is made by itself.')
  }
  const key = newApiKey()
  await mkdir(config.DATA_DIR, { recursive: true, mode: 0o700 })
  await writeFile(firstKeyFile(config), `${key}\n`, { mode: 0o600 })
  await storeOperatorsKey(apiKeys, key, 'first start', false)
  return key
}
