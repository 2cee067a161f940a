import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { StoreCarrier } from '../../src/bus/store-carrier.ts'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { hear, repeat, signals, startBus, TestLog } from '../buses.ts'
import { temporaryFolder } from '../helper.ts'

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
  while (there.lines.length === 0) await delay(20)
  sender.publish('a', { n: 2 })
  store = await startEmbeddedStore({ dataDir })
  await repeat(() => sender.publish('a', { n: 3 }), until(3))
  t.equal(there.lines.length, 1, 'an outage is told once')
  t.match(there.lines[0], /^warn the signals of other replicas cannot be read/)
})
