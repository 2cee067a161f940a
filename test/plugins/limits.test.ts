import { hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { normalizeIP } from '@fastify/rate-limit'
import { MongoClient } from 'mongodb'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { loadConfig } from '../../src/config.ts'
import { type Count, type Counters } from '../../src/limits/counters.ts'
import { GatheredCounters } from '../../src/limits/gathered-counters.ts'
import { limitTable, type LimitName } from '../../src/limits/limit-table.ts'
import { Limits } from '../../src/limits/limits.ts'
import { MemoryCounters } from '../../src/limits/memory-counters.ts'
import { RedisCounters } from '../../src/limits/redis-counters.ts'
import { CounterRepository } from '../../src/store/counters.ts'
import { TestLog } from '../buses.ts'
import { isProblem } from '../edge.ts'
import { databaseName, startApp, storeUri, type Client, type TestApp } from '../helper.ts'
import { RedisServer, withoutRedis } from '../redis-server.ts'

const list = async (who: Client, headers: Record<string, string> = {}) => await who.ask('/api/configs', { headers })

/** Tries until it does not reject any more. */
async function until (done: () => Promise<void>): Promise<void> {
  while (!await done().then(() => true, () => false)) await setImmediate()
}

/** Holds counters against what all of them promise. */
async function countsInWindows (t: Test, counters: Counters, others: Counters = counters): Promise<void> {
  const both = [counters, others]
  const counts = await Promise.all(Array.from({ length: 60 }, async (_, i) => await both[i % 2]!.count('a', 60_000)))
  t.same(counts.map(({ count }) => count).sort((a, b) => a - b), Array.from({ length: 60 }, (_, i) => i + 1), 'each gets a count of its own')
  t.ok(counts.every(({ resetMs }) => resetMs > 0 && resetMs <= 60_000))
  t.match(await counters.count('b', 60_000), { count: 1, resetMs: 60_000 }, 'each key has a window of its own')
  const wrong: number[][] = []
  for (let windows = 0, last = 0; windows < 3;) {
    const { count, resetMs } = await counters.count('c', 40)
    const isRight = count === 1 ? resetMs === 40 : count === last + 1 && resetMs > 0 && resetMs <= 40
    if (!isRight) wrong.push([last, count, resetMs])
    if (count === 1) windows++
    last = count
  }
  t.same(wrong, [], 'then a new one begins with its first count')
}

t.test('counters count in windows that begin with the first count', async (t) => {
  t.test('in memory', async (t) => await countsInWindows(t, new MemoryCounters()))

  t.test('in the store, together', async (t) => {
    const database = databaseName()
    const connect = async () => {
      const client = await MongoClient.connect(await storeUri())
      t.teardown(async () => await client.close())
      return client.db(database)
    }
    const [one, two] = [await connect(), await connect()]
    const counters = new CounterRepository(one)
    await counters.createIndexes()
    await countsInWindows(t, counters, new CounterRepository(two))
    t.match(await one.collection('counters').indexes(), [{}, { key: { until: 1 }, expireAfterSeconds: 0 }], 'they go by themselves')
    await one.dropDatabase()
    await one.client.close()
    await t.rejects(counters.count('a', 1000), { name: 'MongoNotConnectedError' }, 'what fails for another reason is not tried for ever')
  })

  t.test('in Redis, together', { skip: withoutRedis }, async (t) => {
    const redis = await RedisServer.start(t)
    const connect = async (name: string) => {
      const counters = new RedisCounters(redis.url, name, new TestLog())
      t.teardown(() => counters.close())
      await counters.opened()
      return counters
    }
    const counters = await connect('one')
    await countsInWindows(t, counters, await connect('one'))
    t.match(await (await connect('two')).count('a', 1000), { count: 1 }, 'other databases are other deployments')
    const visitor = new Redis(redis.url)
    t.teardown(() => visitor.disconnect())
    t.same((await visitor.keys('*')).filter((key) => !/^parley:(one|two):count:[abc]$/.test(key)), [])
    await visitor.script('FLUSH')
    t.match(await counters.count('a', 1000), { count: 61 }, 'a Redis that was started anew is told again how to count')
    await visitor.persist('parley:one:count:a')
    t.match(await counters.count('a', 1000), { count: 62, resetMs: 1000 }, 'no window is for ever')
    t.ok(await visitor.pttl('parley:one:count:a') > 0)
  })
})

t.test('counts of one key go together while one of them is on its way', async (t) => {
  const memory = new MemoryCounters()
  const asked: Array<[key: string, times: number | undefined]> = []
  let answer = Promise.withResolvers<unknown>()
  const counters = new GatheredCounters({
    async count (key, windowMs, times) {
      asked.push([key, times])
      const { promise } = answer
      await promise
      return await memory.count(key, windowMs, times)
    }
  })
  const counts = async (key: string, times: number) =>
    (await Promise.all(Array.from({ length: times }, async () => await counters.count(key, 60_000, 20)))).map(({ count }) => count)
  const first = counts('a', 1)
  await setImmediate()
  const next = counts('a', 3)
  const other = counts('b', 2)
  await setImmediate()
  t.same(asked, [['a', 1], ['b', 2]], 'what comes at one moment goes at once')
  answer.resolve(undefined)
  t.same([await first, await next, await other], [[1], [2, 3, 4], [1, 2]], 'each gets a count of its own')
  t.same(asked, [['a', 1], ['b', 2], ['a', 3]])

  answer = Promise.withResolvers()
  const failing = t.rejects(counts('a', 1), { message: 'away' })
  await setImmediate()
  const waiting = t.rejects(counts('a', 2), { message: 'away' })
  answer.reject(new Error('away'))
  await Promise.all([failing, waiting])
  t.equal(asked.length, 4, 'who waits for what fails has failed with it')
  answer = Promise.withResolvers()
  answer.resolve(undefined)
  t.same(await counts('a', 2), [5, 6], 'then they are asked anew')
})

t.test('who is far from a limit is counted ahead, and nobody gets more than it', async (t) => {
  let time = 0
  t.intercept(performance, 'now', { value: () => time })
  const memory = new MemoryCounters()
  let asked = 0
  const shared: Counters = { count: async (key, windowMs, times) => { asked++; return await memory.count(key, windowMs, times) } }
  const [one, two] = [new GatheredCounters(shared), new GatheredCounters(shared)]
  const count = async (counters: GatheredCounters) => await counters.count('a', 1000, 10_000)
  const counted: number[] = []
  for (let i = 1; i <= 295; i++) counted.push((await count(one)).count)
  t.same(counted, Array.from({ length: 295 }, (_, i) => i + 1))
  t.ok(asked < 60, `${asked} commands`)
  t.match(await count(two), { count: 302 }, 'what the one has taken ahead, the other cannot have')
  let passed = 296
  asked = 0
  for (let i = 0; i < 10_000; i++) if ((await count(i % 2 === 0 ? one : two)).count <= 10_000) passed++
  t.ok(passed > 9980 && passed <= 10_000, `${passed} of 10000`)
  t.ok(asked > 5000, 'near the limit, each is asked for')
  time += 999
  t.match(await count(two), { resetMs: 1 })
  time += 1
  t.match(await count(one), { count: 1, resetMs: 1000 }, 'a new window begins with its first count')
  for (const name of ['b', 'c']) t.match(await two.count(name, 1000, 999), { count: 1 })
  t.match(await two.count('b', 1000, 999), { count: 2 }, 'a small limit is never counted ahead')
  t.match(await memory.count('b', 1000), { count: 3 })
})

const words: Record<LimitName, RegExp> = {
  token: /^More than 2 requests with this credential in a minute\.$/,
  ip: /^More than 2 requests without a valid credential from this address in a minute\.$/,
  integration: /^More than 2 deliveries of this integration in a minute\.$/,
  'login-account': /^More than 2 attempts to log in to this account in 15 minutes\.$/,
  'login-ip': /^More than 2 .* from this address in 15 minutes\.$/,
  'provider-login-ip': /./,
  'registration-ip': /^More than 2 registrations from this address in an hour\.$/,
  'reset-account': /in an hour/,
  'reset-ip': /in an hour/,
  'visitor-session': /^More than 2 messages in this session in 15 minutes\.$/,
  'visitor-day': /^More than 2 messages of this visitor in a day\.$/,
  'visitor-ip': /in 15 minutes/
}
const names = Object.keys(limitTable) as LimitName[]
const every = (value: string) => Object.fromEntries(names.map((name) => [limitTable[name].variable, value]))

/** Limits without an app around them. */
function limitsOf (env: Record<string, string>, shared?: Counters) {
  const refused: LimitName[] = []
  const limits = new Limits({
    config: loadConfig(env), shared, normalizeAddress: (ip) => normalizeIP(ip), onRefused: (name) => { refused.push(name) }, log: new TestLog()
  })
  return { limits, refused, passes: async (name: LimitName, key: string) => await limits.hit(name, key).then(() => true, () => false) }
}

t.test('every limit of the table lets so many through and then says which it is', async (t) => {
  const asked: string[] = []
  const memory = new MemoryCounters()
  const shared: Counters = { count: async (key, windowMs) => { asked.push(key); return await memory.count(key, windowMs) } }
  for (const counters of [undefined, shared]) {
    const { limits, refused } = limitsOf(every('2'), counters)
    for (const name of names) {
      const key = name.endsWith('ip') ? '192.0.2.1' : 'ada@example.org'
      await limits.hit(name, key)
      await limits.hit(name, key)
      for (let i = 0; i < 2; i++) {
        const error = await limits.hit(name, key).then(() => undefined, (error: unknown) => error)
        t.match(error, { code: 'rate_limited', message: words[name], members: { limit: name } }, name)
        t.match(error, { headers: { 'retry-after': String(limitTable[name].windowMs / 1000) } }, name)
      }
      await limits.hit(name, key.replace('1', '9').replace('ada', 'bob'))
    }
    t.same(refused, names.flatMap((name) => [name, name]))
  }
  t.equal(asked.length, names.length * 4, 'who is over a limit is not counted further')
  t.equal(new Set(asked).size, names.length * 2)
  t.ok(asked.every((key) => /^[\w-]{43}$/.test(key)), 'and nothing personal leaves the process in clear')
})

t.test('a limit that is off counts nothing', async (t) => {
  const { passes } = limitsOf(every('0'), { count: async () => { throw new Error('counted') } })
  for (const name of names) t.equal(await passes(name, 'x'), true, name)
})

t.test('an address of IPv6 is its network, and what is no address is one', async (t) => {
  const { passes } = limitsOf({ RATE_LIMIT_LOGIN_IP: '1' })
  for (const [first = '', ...same] of [
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', '2001:DB8:1:2::1', '2001:0db8:0001:0002:0:0:0:1'],
    ['2001:db8:1:3::1'],
    ['192.0.2.7', '::ffff:192.0.2.7', '::FFFF:c000:207'],
    ['fe80::1%eth0', 'fe80::2'],
    ['nonsense', '', '1.2.3', 'x'.repeat(10_000)]
  ]) {
    t.equal(await passes('login-ip', first), true, first)
    for (const ip of same) t.equal(await passes('login-ip', ip), false, `${ip.slice(0, 50)} is as ${first}`)
  }
})

t.test('counters that do not answer are asked once in a while, and are missed when they come back', async (t) => {
  let time = 0
  t.intercept(performance, 'now', { value: () => time })
  let asked = 0
  let answer = async (): Promise<Count> => { throw new Error('away') }
  const { limits, passes } = limitsOf({ RATE_LIMIT_LOGIN_IP: '5', RATE_LIMIT_IP: '3' }, { count: async () => { asked++; return await answer() } })
  const closed = { code: 'store_unavailable', headers: { 'retry-after': '1' } }
  for (let i = 0; i < 3; i++) await t.rejects(limits.hit('login-ip', '192.0.2.1'), closed)
  t.equal(asked, 1)
  const through: boolean[] = []
  for (let i = 0; i < 5; i++) through.push(await passes('ip', '192.0.2.1'))
  t.same(through, [true, true, true, false, false], 'an open limit is counted here meanwhile')
  time += 1000
  await t.rejects(limits.hit('login-ip', '192.0.2.1'), closed)
  await t.rejects(limits.hit('login-ip', '192.0.2.1'), closed)
  t.equal(asked, 2)
  answer = async () => ({ count: 1, resetMs: 1000 })
  time += 1000
  t.equal(await passes('login-ip', '192.0.2.1'), true)
  t.equal(await passes('ip', '192.0.2.1'), true)
  t.equal(asked, 4)
})

t.test('who is over a limit is asked for again when the window ends, and when the limit is raised', async (t) => {
  let time = 0
  t.intercept(performance, 'now', { value: () => time })
  const memory = new MemoryCounters()
  let asked = 0
  const { limits } = limitsOf({}, { count: async (key, windowMs) => { asked++; return await memory.count(key, windowMs) } })
  const counts = async (max: number) => (await limits.count('token', 'a', max)).count
  t.same([await counts(1), await counts(1), await counts(1), asked], [1, 2, 2, 2])
  t.same([await counts(5), asked], [3, 3])
  time += 59_999
  t.match(await limits.count('token', 'a', 1), { count: 2, resetMs: 1 })
  time += 1
  t.match(await limits.count('token', 'a', 1), { count: 1, resetMs: 60_000 })
})

t.test('replicas count together, and at their edge nobody passes twice', async (t) => {
  const shared = { MONGODB_DATABASE: databaseName(), RATE_LIMIT_PER_MINUTE: '10' }
  const one = await startApp(t, shared)
  const two = await startApp(t, { ...shared, BOOTSTRAP_API_KEY: one.adminKey })
  const answers = await Promise.all(Array.from({ length: 40 }, async (_, i) => await list([one, two][i % 2]!.client)))
  const [passed, refused] = [200, 429].map((status) => answers.filter((answer) => answer.status === status))
  t.same([passed!.length, refused!.length], [10, 30])
  t.same(passed!.map(({ headers }) => Number(headers.get('ratelimit-remaining'))).sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  for (const answer of refused!) t.match(answer.body, { limit: 'token', detail: /credential/ })
  const refusedByOne = answers.filter(({ status }, i) => status === 429 && i % 2 === 0).length
  t.match(await (await one.client.fetch('/metrics')).text(), `rate_limit_refusals_total{limit="token"} ${refusedByOne}\n`)
  const kept = await one.db.collection<{ _id: string, count: number }>('counters').find().toArray()
  t.match(kept, [{ _id: /^[\w-]{43}$/ }])
  isProblem(t, refused![0]!, 'rate_limited')
})

t.test('who comes from where is what the connection says, unless a proxy is trusted', async (t) => {
  const spoofs: Array<Record<string, string>> = [
    { 'x-forwarded-for': '192.0.2.1' }, { 'x-forwarded-for': '192.0.2.2, 192.0.2.3' }, { forwarded: 'for=192.0.2.4' },
    { 'x-real-ip': '192.0.2.5' }, { 'x-client-ip': '192.0.2.6' }, { 'x-forwarded-for': 'x'.repeat(2000) }
  ]
  const strangers = (app: TestApp) => app.client.with({})

  const alone = await startApp(t, { RATE_LIMIT_IP: String(spoofs.length) })
  for (const headers of spoofs) t.match(await list(strangers(alone), headers), { status: 401 })
  isProblem(t, await list(strangers(alone), { 'x-forwarded-for': '192.0.2.99' }), 'rate_limited', 'no spoofed address is another one')
  const elsewhere = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', 'x-forwarded-prefix': '/evil', 'x-original-url': '/health' }
  const created = await alone.client.ask('/api/configs', { body: { purpose: 'Help.' }, headers: elsewhere })
  t.match(created.headers.get('location'), /^\/api\/configs\/[0-9a-f]{24}$/, 'nor does anything else of it have an effect')

  for (const TRUST_PROXY of ['1', 'loopback']) {
    const proxied = await startApp(t, { RATE_LIMIT_IP: '1', TRUST_PROXY })
    const from = async (address: string) => (await list(strangers(proxied), { 'x-forwarded-for': address })).status
    t.same([await from('192.0.2.1'), await from('192.0.2.1'), await from('192.0.2.2')], [401, 429, 401], TRUST_PROXY)
    t.same([await from('203.0.113.1, 192.0.2.2'), await from('2001:db8::1'), await from('2001:db8::2')], [429, 401, 429],
      'the last address is the one that the proxy has seen')
    t.same([await from('nonsense'), await from('other nonsense')], [401, 429])
  }
  const elsewhereTrusted = await startApp(t, { RATE_LIMIT_IP: '1', TRUST_PROXY: '10.0.0.0/8' })
  t.same([(await list(strangers(elsewhereTrusted), { 'x-forwarded-for': '192.0.2.1' })).status,
    (await list(strangers(elsewhereTrusted), { 'x-forwarded-for': '192.0.2.2' })).status], [401, 429], 'this is not that proxy')
})

t.test('a key may have a limit of its own, and public paths of the API count per address', async (t) => {
  const { client } = await startApp(t, { RATE_LIMIT_PER_MINUTE: '20', RATE_LIMIT_IP: '3' })
  const own = await client.ask<{ key: string }>('/api/keys', { body: { name: 'slow', scopes: ['configs:read'], requestsPerMinute: 1 } })
  const slow = client.with({ 'x-api-key': own.body.key })
  const first = await list(slow)
  t.same([first.status, first.headers.get('ratelimit-limit'), first.headers.get('ratelimit-remaining')], [200, '1', '0'])
  const refused = await list(slow)
  isProblem(t, refused, 'rate_limited')
  t.match(refused.body, { limit: 'token', detail: /^More than 1 / })
  const guess = async () => await client.with({}).ask('/api/auth/token', { body: { grant_type: 'client_credentials' } })
  for (const left of ['2', '1', '0']) t.equal((await guess()).headers.get('ratelimit-remaining'), left)
  t.match(await guess(), { status: 429, body: { limit: 'ip' } })
})

t.test('visitors have limits for what they send, nobody else has', async (t) => {
  const { client } = await startApp(t, { RATE_LIMIT_VISITOR_SESSION: '2', RATE_LIMIT_VISITOR_DAY: '4', RATE_LIMIT_VISITOR_IP: '5' })
  const configId = await client.createConfig()
  const visitor = async (visitorId: string) => {
    const { body } = await client.ask<{ token: string }>('/api/visitor-tokens', { body: { configId, visitorId } })
    return client.with({ authorization: `Bearer ${body.token}` })
  }
  const send = async (who: Client, session: string) => await who.ask(`/api/sessions/${session}/messages`, { body: { message: 'Hi.' } })
  const refusedBy = (answer: Awaited<ReturnType<typeof send>>) => answer.body['limit'] ?? answer.status
  const ada = await visitor('ada')
  const [one, two, three] = [await ada.createSession(configId), await ada.createSession(configId), await ada.createSession(configId)]
  t.match(await ada.ask(`/api/sessions/${one}/messages`, { body: {} }), { status: 400 }, 'what is not sent is not counted')
  t.same([refusedBy(await send(ada, one)), refusedBy(await send(ada, one)), refusedBy(await send(ada, one))], [200, 200, 'visitor-session'])
  const { body: { data: [, reply] } } = await ada.ask<{ data: Array<{ id: string }> }>(`/api/sessions/${one}/messages`)
  const again = await ada.ask(`/api/sessions/${one}/messages/${reply!.id}/regenerate`, { method: 'POST' })
  t.match(again, { status: 429, body: { limit: 'visitor-session' } }, 'another reply is a message, too')
  t.ok(Number(again.headers.get('retry-after')) > 0)
  t.same([refusedBy(await send(ada, two)), refusedBy(await send(ada, two)), refusedBy(await send(ada, three))], [200, 200, 'visitor-day'],
    'what one limit refuses is not counted by the next')
  const bob = await visitor('bob')
  t.equal(refusedBy(await send(bob, one)), 404, 'who asks for the session of another uses up his own')
  t.equal(refusedBy(await send(bob, one)), 'visitor-ip')
  for (let i = 0; i < 3; i++) t.equal((await send(client, one)).status, 200, 'a key has none of these')
})

t.test('while Redis is away, requests are counted here and nobody may try passwords', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start(t)
  const { client, app, db } = await startApp(t, { RATE_LIMIT_STORE: 'redis', REDIS_URL: redis.url, RATE_LIMIT_PER_MINUTE: '3' })
  t.match((await list(client)).headers.get('ratelimit-remaining'), '2')
  await redis.stop()
  const statuses: number[] = []
  for (let i = 0; i < 5; i++) statuses.push((await list(client)).status)
  t.same(statuses, [200, 200, 200, 429, 429])
  await t.rejects(app.limits.hit('login-account', 'ada@example.org'), { code: 'store_unavailable' })
  await redis.start()
  await until(async () => await app.limits.hit('login-account', 'ada@example.org'))
  t.match((await list(client)).headers.get('ratelimit-remaining'), '2', 'a Redis that forgets begins anew')
  t.equal(await db.collection('counters').countDocuments(), 0)
  const visitor = new Redis(redis.url)
  t.teardown(() => visitor.disconnect())
  t.ok(await visitor.exists(`parley:${db.databaseName}:count:${hash('sha256', 'login-account:ada@example.org', 'base64url')}`),
    'under a hash')
})
