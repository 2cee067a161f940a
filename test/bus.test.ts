import { setImmediate } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { Redis } from 'ioredis'
import t from 'tap'
import { RedisCarrier } from '../src/bus/redis-carrier.ts'
import { StoreCarrier } from '../src/bus/store-carrier.ts'
import { type SignalPayload } from '../src/store/signals.ts'
import { hear, repeat, signals, startBus, TestLog } from './buses.ts'
import { databaseName, storeUri } from './helper.ts'
import { RedisServer, withoutRedis } from './redis-server.ts'

t.test('alone, a bus brings what is said to all who listen here, at once', async (t) => {
  const bus = startBus(t)
  bus.publish('a', { n: 0 })
  const [one, two, other] = [hear(bus, 'a'), hear(bus, 'a'), hear(bus, 'b')]
  bus.publish('a', { n: 1 })
  t.same([one.heard, two.heard, other.heard], [[{ n: 1 }], [{ n: 1 }], []])
  one.stop()
  one.stop()
  bus.publish('a', { n: 2 })
  two.stop()
  const three = hear(bus, 'a')
  two.stop()
  bus.publish('a', { n: 3 })
  t.same([one.heard, two.heard, three.heard], [[{ n: 1 }], [{ n: 1 }, { n: 2 }], [{ n: 3 }]])
  t.equal(bus.isInstant, false)
})

t.test('by the store, every other replica hears it once, and the sender at once', async (t) => {
  const database = databaseName()
  const repository = await signals(t, undefined, database)
  await repository.send('somebody', { topic: 'a', payload: { n: 0 } })
  const log = new TestLog()
  const here = startBus(t, new StoreCarrier(repository, log))
  const there = startBus(t, new StoreCarrier(await signals(t, undefined, database), log))
  const [own, elsewhere, other] = [hear(here, 'a'), hear(there, 'a'), hear(there, 'b')]
  // Until it has read for the first time, a replica takes what there is for old.
  await repeat(() => here.publish('a', { n: 1 }), elsewhere.until(1))
  const said = Array.from({ length: 20 }, (_, i) => ({ n: i + 2, text: '$$NOW', offset: -1 }))
  for (const payload of said) {
    here.publish('a', payload)
    t.equal(own.heard.at(-1), payload)
  }
  await Promise.all(said.map(async ({ n }) => await elsewhere.until(n)))
  there.publish('a', { n: 100 })
  await own.until(100)
  const byNumber = (heard: SignalPayload[]) => heard.filter(({ n }) => n !== 1).sort((a, b) => Number(a['n']) - Number(b['n']))
  t.same(byNumber(elsewhere.heard), [...said, { n: 100 }])
  t.same(byNumber(own.heard), [...said, { n: 100 }], 'what was said before is not told')
  t.same(other.heard, [])
  t.equal(here.isInstant, false)
  t.same(log.lines, [])
})

t.test('signals are dated by the store and expire', async (t) => {
  const database = databaseName()
  const repository = await signals(t, undefined, database)
  const client = new MongoClient(await storeUri())
  t.teardown(async () => await client.close())
  const collection = client.db(database).collection('signals')
  await repository.send('somebody', { topic: 'a', payload: { n: 0 } })
  t.ok((await collection.findOne())!['at'] instanceof Date)
  t.match(await collection.indexes(), [{}, { key: { at: 1 }, expireAfterSeconds: 60 }])
})

t.test('by Redis it is there at once, and by the store while Redis is away', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start(t, 'hunter2')
  const database = databaseName()
  const log = new TestLog()
  const start = async () => startBus(
    t, new RedisCarrier(redis.url, database, log), new StoreCarrier(await signals(t, undefined, database), log)
  )
  const [here, there] = [await start(), await start()]
  const stranger = startBus(t, new RedisCarrier(redis.url, 'another', log))
  const [own, elsewhere, strange] = [hear(here, 'a'), hear(there, 'a'), hear(stranger, 'a')]
  const late = hear(there, 'b')
  while (!here.isInstant || !there.isInstant || !stranger.isInstant) await setImmediate()
  await repeat(() => here.publish('a', { n: 1 }), elsewhere.until(1))
  here.publish('a', { n: 2, text: 'hälf \ud83d' })
  await elsewhere.until(2)
  t.same(elsewhere.heard.filter(({ n }) => n === 2), [{ n: 2, text: 'hälf \ud83d' }])
  t.same(own.heard.filter(({ n }) => n === 2), [{ n: 2, text: 'hälf \ud83d' }], 'and the sender hears it once')
  const visitor = new Redis(redis.url)
  for (const text of ['', '{', 'null', '{"from":"x"}', '{"from":"x","payload":null}']) await visitor.publish(`parley:${database}:a`, text)
  visitor.disconnect()
  late.stop()
  const again = hear(there, 'b')
  await repeat(() => here.publish('b', { n: 3 }), again.until(3))

  await redis.stop()
  while (here.isInstant || there.isInstant) await setImmediate()
  await repeat(() => here.publish('a', { n: 4 }), elsewhere.until(4))

  await redis.start()
  while (!here.isInstant || !there.isInstant) await setImmediate()
  await repeat(() => here.publish('a', { n: 5 }), elsewhere.until(5))
  t.same(strange.heard, [], 'other databases are other replicas')
  t.match(log.lines.join('\n'), /^warn Redis is away[^]*ECONN[^]*info Redis is back/)
  t.notMatch(log.lines.join('\n'), 'hunter2')
})

t.test('a Redis that turns replicas away is told without the password', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start(t, 'right')
  const log = new TestLog()
  const bus = startBus(t, new RedisCarrier(redis.url.replace('right', 'hunter2'), 'test', log))
  const { heard } = hear(bus, 'a')
  while (log.lines.length < 2) await setImmediate()
  bus.publish('a', { n: 1 })
  t.same(heard, [{ n: 1 }], 'here it works all the same')
  t.equal(bus.isInstant, false)
  t.match(log.lines[0], /WRONGPASS/)
  t.notMatch(log.lines.join('\n'), 'hunter2')
})
