import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from '../src/app.ts'
import { apiKeyPrefix, hashApiKey, newApiKey } from '../src/auth/api-key.ts'
import { loadConfig } from '../src/config.ts'

const ROUNDS = 15
const TOKENS = 2000

/** CPU microseconds of this process for each of `count` calls: the median of many rounds. */
async function medianCpu (count: number, call: (i: number) => Promise<unknown>): Promise<number> {
  const costs: number[] = []
  for (let round = 0; round < ROUNDS + 3; round++) {
    const before = process.cpuUsage()
    for (let i = 0; i < count; i++) if (!await call(i)) throw new Error('a good credential was refused')
    const { user, system } = process.cpuUsage(before)
    // The first rounds are there to warm up.
    if (round >= 3) costs.push((user + system) / count)
  }
  return costs.sort((a, b) => a - b)[ROUNDS >> 1] ?? NaN
}

/** What it costs to tell who is asking. Prints a line for each kind of credential. */
export async function runAuth (): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-bench-'))
  const app = await buildApp(loadConfig({ DATA_DIR: dataDir, JWT_SECRET: 'b'.repeat(32) }))
  try {
    const key = newApiKey()
    const record = { prefix: apiKeyPrefix(key)!, tenantId: 'default', name: 'bench', scopes: ['admin'], createdAt: new Date() }
    await app.store.apiKeys.upsert(record, hashApiKey(key))
    // More tokens than are remembered as checked, one after the other: none is found there when it comes again.
    const tokens = await Promise.all(Array.from({ length: 6 * TOKENS }, async (_, i) =>
      (await app.accessTokens.issue({ tenantId: 'default', subject: `user-${i}`, scopes: ['chat'] })).token))
    const { apiKeyVerifier, accessTokens } = app
    const perKey = await medianCpu(TOKENS, async () => await apiKeyVerifier.verify(key))
    const perToken = await medianCpu(tokens.length, async (i) => await accessTokens.verify(tokens[i]!))
    const perKnown = await medianCpu(TOKENS, async () => await accessTokens.verify(tokens[0]!))
    console.log(`auth: ${perKey.toFixed(1)} us CPU per API key (goal: 60 us)`)
    console.log(`auth: ${perToken.toFixed(1)} us CPU per HS256 JWT that was not seen before (goal: 150 us), ${perKnown.toFixed(1)} us when seen again`)
  } finally {
    await app.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

if (import.meta.main) await runAuth()
