import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Client } from '../helper.ts'
import { RedisServer, withoutRedis } from '../redis-server.ts'
import { replicaEnv } from '../replicas.ts'
import { ServerProcess } from '../server-process.ts'

const LIMIT = 100
const REQUESTS = 600
const WINDOW_MS = 6000
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
