import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { startApp, temporaryFolder, type Client } from '../helper.ts'
import { RedisServer, withoutRedis } from '../redis-server.ts'
import { replicaEnv } from '../replicas.ts'
import { ServerProcess } from '../server-process.ts'

const LIMIT = 100
const REQUESTS = 600
const WINDOW_MS = 10_000
// How long before the end of the window the requests come that cross it.
const APPROACH_MS = 500

/** Three processes, one credential, one window and the next. */
async function isExact (t: Test, env: Record<string, string>): Promise<void> {
  const replicas = await replicaEnv(t, { RATE_LIMIT_PER_MINUTE: String(LIMIT), WINDOW_MS: String(WINDOW_MS), ...env })
  const servers = [1, 2, 3].map(() => new ServerProcess(t, replicas.env, { entry: 'test/short-window-server.ts' }))
  const clients = await Promise.all(servers.map(async (server) => await server.client(replicas.key)))

  const remaining: number[] = []
  let answered = 0
  const ask = async (client: Client) => {
    const { status, headers, body } = await client.ask('/api/configs')
    answered++
    if (status === 200) remaining.push(Number(headers.get('ratelimit-remaining')))
    else if (status !== 429 || body['limit'] !== 'token') throw new Error(`${status} ${JSON.stringify(body)}`)
  }

  await ask(clients[0]!)
  const begun = performance.now()
  await Promise.all(Array.from({ length: REQUESTS / 2 - 1 }, async (_, i) => await ask(clients[i % 3]!)))
  t.same([answered, remaining.length], [REQUESTS / 2, LIMIT], 'the first window')

  await delay(begun + WINDOW_MS - APPROACH_MS - performance.now())
  const before = answered
  const isEnough = () => answered >= REQUESTS && remaining.length >= 2 * LIMIT
  await Promise.all(Array.from({ length: 12 }, async (_, i) => {
    while (!isEnough()) {
      if (remaining.length === LIMIT && performance.now() > begun + 1.5 * WINDOW_MS) throw new Error('the window does not end')
      await ask(clients[i % 3]!)
    }
  }))
  t.notMatch(servers.map(({ stdout }) => stdout).join(''), /are away/, 'no process has counted for itself')
  t.ok(answered >= REQUESTS)
  t.ok(answered - before > LIMIT, 'some came before the end of the window and some after')
  t.same(remaining.sort((a, b) => a - b), Array.from({ length: 2 * LIMIT }, (_, i) => Math.floor(i / 2)), 'each window has let through exactly its own')
}

t.test('three processes let through exactly what the limit allows, counted in the store', async (t) => {
  await isExact(t, { RATE_LIMIT_STORE: 'mongo' })
})

t.test('three processes let through exactly what the limit allows, counted in Redis', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start(t)
  await isExact(t, { RATE_LIMIT_STORE: 'redis', REDIS_URL: redis.url })
})

t.test('while the store is away, requests are counted here and nobody may try passwords', async (t) => {
  const dataDir = await temporaryFolder(t)
  let store = await startEmbeddedStore({ dataDir })
  t.teardown(async () => await store.close())
  const { client, app } = await startApp(t, { MONGODB_URI: store.uri, RATE_LIMIT_PER_MINUTE: '3', RATE_LIMIT_LOGIN_IP: '1' })
  t.match(await client.ask('/api/configs'), { status: 200 })
  await store.close()
  t.equal((await client.ask('/api/configs')).status, 503)
  const outcomes: string[] = []
  for (let i = 0; i < 5; i++) outcomes.push(await app.limits.hit('token', 'somebody').then(() => 'passes', ({ code }) => code as string))
  t.same(outcomes, ['passes', 'passes', 'passes', 'rate_limited', 'rate_limited'], 'open: each process counts for itself')
  await t.rejects(app.limits.hit('login-ip', '192.0.2.1'), { code: 'store_unavailable', headers: { 'retry-after': '1' } }, 'closed')
  await t.rejects(app.limits.hit('login-account', 'ada@example.org'), { code: 'store_unavailable' })
  await app.limits.hit('visitor-session', 'x')

  store = await startEmbeddedStore({ dataDir })
  while (!await app.limits.hit('login-ip', '192.0.2.1').then(() => true, () => false)) await delay(20)
  t.match((await client.ask('/api/configs')).headers.get('ratelimit-remaining'), '1', 'the counts are where they were')
})
