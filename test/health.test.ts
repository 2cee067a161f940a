import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { HealthWatch, type Watched } from '../src/health/health-watch.ts'

const large = 100e9

/** What a watch has seen in its first round. */
async function seen (t: Test, watched: Partial<Watched>): Promise<HealthWatch> {
  const watch = new HealthWatch({ ping: async () => {}, jobsWait: async () => 0, space: async () => ({ freeBytes: large, totalBytes: large }), ...watched })
  t.teardown(() => watch.close())
  await setImmediate()
  return watch
}

t.test('all is well', async (t) => {
  t.match(await seen(t, {}), { jobs: 'ok', disk: 'ok' })
  t.match(await seen(t, { space: undefined }), { disk: 'not used' })
  t.equal(await (await seen(t, {})).store(), 'ok')
})

t.test('jobs that nobody begins for a minute', async (t) => {
  t.match(await seen(t, { jobsWait: async () => 60_000 }), { jobs: 'ok' })
  t.match(await seen(t, { jobsWait: async () => 60_001 }), { jobs: 'behind' })
  t.match(await seen(t, { jobsWait: async () => { throw new Error('away') } }), { jobs: 'ok' }, 'that the store is away is told apart')
})

t.test('a disk that is nearly full', async (t) => {
  const left = async (freeBytes: number, totalBytes: number) => (await seen(t, { space: async () => ({ freeBytes, totalBytes }) })).disk
  t.equal(await left(1e9, 20e9), 'ok')
  t.equal(await left(1e9 - 1, 20e9), 'nearly full', 'less than a twentieth')
  t.equal(await left(2 * 1024 ** 3, large), 'ok')
  t.equal(await left(2 * 1024 ** 3 - 1, large), 'nearly full', 'less than 2 GB of a large one')
  t.equal(await left(256 * 1024 ** 2, 1e9), 'ok')
  t.equal(await left(256 * 1024 ** 2 - 1, 1e9), 'nearly full', 'less than 256 MB')
  t.match(await seen(t, { space: async () => { throw new Error('gone') } }), { disk: 'cannot be read' })
})

t.test('a store that is slow is asked once, whoever wants to know', async (t) => {
  const [answer, asked] = [Promise.withResolvers<void>(), { times: 0 }]
  const watch = await seen(t, { ping: async () => { asked.times++; await answer.promise } })
  t.same(await Promise.all(Array.from({ length: 20 }, async () => await watch.store())), Array.from({ length: 20 }, () => 'ok'), 'as it was seen last')
  t.equal(asked.times, 1)
  answer.reject(new Error('away'))
  await setImmediate()
  t.equal(await watch.store(), 'is away')
})
