import { setImmediate } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import t, { type Test } from 'tap'
import { Bus, type BusLog, type Carrier } from '../src/bus/bus.ts'
import { RedisCarrier } from '../src/bus/redis-carrier.ts'
import { StoreCarrier } from '../src/bus/store-carrier.ts'
import { startEmbeddedStore } from '../src/embedded-mongo/index.ts'
import { SignalRepository, type SignalPayload } from '../src/store/signals.ts'
import { databaseName, storeUri, temporaryFolder } from './helper.ts'
import { RedisServer, withoutRedis } from './redis-server.ts'

class TestLog implements BusLog {
  readonly lines: string[] = []

  info (details: object, message: string): void {
    this.lines.push(`info ${message} ${JSON.stringify(details)}`)
  }

  warn (details: object, message: string): void {
    this.lines.push(`warn ${message} ${JSON.stringify(details)}`)
  }
}

async function signals (test: Test, uri?: string, database = databaseName()): Promise<SignalRepository> {
  const client = new MongoClient(uri ?? await storeUri(), { serverSelectionTimeoutMS: 2000 })
  test.teardown(async () => await client.close())
  const repository = new SignalRepository(client.db(database))
  await repository.createIndexes()
  return repository
}

function startBus (test: Test, ...carriers: Carrier[]): Bus {
  const bus = new Bus(carriers)
  test.teardown(async () => await bus.close())
  return bus
}

/** All that a topic brings, and a way to wait for one of it. */
function hear (bus: Bus, topic: string) {
  const heard: SignalPayload[] = []
  const waiting = new Map<unknown, () => void>()
  const stop = bus.subscribe(topic, (payload) => {
    heard.push(payload)
    waiting.get(payload['n'])?.()
  })
  const until = async (n: number) => {
    if (!heard.some((payload) => payload['n'] === n)) await new Promise<void>((resolve) => waiting.set(n, resolve))
  }
  return { heard, stop, until }
}

/** Says it again and again until `heard`: what is said is a hint and may be lost. */
async function repeat (say: () => void, heard: Promise<void>): Promise<void> {
  const timer = setInterval(say, 20)
  say()
  await heard
  clearInterval(timer)
}

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

t.test('a store that goes away silences the bus until it is back', async (t) => {
  const dataDir = await temporaryFolder(t)
  let store = await startEmbeddedStore({ dataDir })
  t.teardown(async () => await store.close())
  const { uri } = store
  const [here, there] = [new TestLog(), new TestLog()]
  const sender = startBus(t, new StoreCarrier(await signals(t, uri, 'test'), here))
  const receiver = startBus(t, new StoreCarrier(await signals(t, uri, 'test'), there))
  const { until } = hear(receiver, 'a')
  await repeat(() => sender.publish('a', { n: 1 }), until(1))
  await store.close()
  while (there.lines.length === 0) await setImmediate()
  sender.publish('a', { n: 2 })
  store = await startEmbeddedStore({ dataDir })
  await repeat(() => sender.publish('a', { n: 3 }), until(3))
  t.equal(there.lines.length, 1, 'an outage is told once')
  t.match(there.lines[0], /^warn the signals of other replicas cannot be read/)
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
