import { Writable } from 'node:stream'
import t from 'tap'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { allOf, startApp, temporaryFolder } from '../helper.ts'
import { startTestSim, StepClock } from '../sim.ts'

t.test('a store that goes away in the middle of a turn costs the turn, nothing else', async (t) => {
  const dataDir = await temporaryFolder(t)
  let store = await startEmbeddedStore({ dataDir })
  const { uri } = store
  t.teardown(async () => await store.close())
  const clock = new StepClock()
  const sim = await startTestSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  let log = ''
  const stream = new Writable({ write (chunk: Buffer, _encoding, done) { log += chunk.toString(); done() } })
  const { client, app } = await startApp(
    t, { MONGODB_URI: uri, MISTRAL_BASE_URL: sim.url, MISTRAL_API_KEY: 'sim', STREAM_FLUSH_MS: '10', TURN_LEASE_MS: '1000' },
    { logger: { level: 'warn', stream } }
  )
  const session = await client.converse()
  const path = `/api/sessions/${session}/messages`
  const events = allOf((await client.events(path, { body: { message: 'canary one two three' } })).events)
  await clock.step(3)
  await store.close()

  const refused = await client.ask('/api/sessions')
  t.match(refused, { status: 503, body: { code: 'store_unavailable', retryable: true } })
  t.ok(Number(refused.headers.get('retry-after')) > 0)
  // It is looked for once a second.
  while ((await client.ask('/health/ready')).status === 200);
  t.match(await client.ask('/health/ready'), { status: 503 })
  t.match(await client.ask('/health/live'), { status: 200 })
  t.match(await client.ask('/health'), { status: 503, body: { checks: { store: /away|does not answer/ } } })

  clock.run()
  const last = (await events).at(-1)!
  t.equal(last.event, 'message.failed')
  t.match(last.data, { botMessage: { status: 'failed', content: /canary/ }, problem: { code: 'store_unavailable' } })
  t.match(log, /could not be written/)
  t.notMatch(log, /canary/, 'no message text in the log')

  store = await startEmbeddedStore({ dataDir })
  t.equal(store.uri, uri)
  let bot: { status: string } | undefined
  while (bot?.status !== 'interrupted') {
    await app.chat.reap().catch(() => {})
    const { body } = await client.ask<{ data?: Array<{ status: string }> }>(path)
    bot = body.data?.[1]
  }
  t.match(await client.ask(path, { body: { message: 'and now?' } }), { status: 200, body: { userMessage: { seq: 3 } } })
})
