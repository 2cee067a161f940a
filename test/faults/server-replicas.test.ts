import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { allOf, databaseName, storeUri, temporaryFolder, type SentEvent } from '../helper.ts'
import { paste, ServerProcess } from '../server-process.ts'
import { startTestSim, StepClock } from '../sim.ts'

t.test('two replicas with a model of their own', async (t) => {
  const clock = new StepClock()
  const sim = await startTestSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const key = newApiKey()
  const env = {
    PORT: '0',
    DATA_DIR: await temporaryFolder(t),
    MONGODB_URI: await storeUri(),
    MONGODB_DATABASE: databaseName(),
    MISTRAL_BASE_URL: sim.url,
    MISTRAL_API_KEY: 'sim',
    BOOTSTRAP_API_KEY: key,
    STREAM_FLUSH_MS: '20'
  }
  const [writer, reader] = [new ServerProcess(t, env), new ServerProcess(t, { ...env, NODE_ENV: 'production' })]
  const [writing, reading] = await Promise.all([writer.client(key), reader.client(key)])
  const sessionId = await writing.converse()
  const path = `/api/sessions/${sessionId}/messages`

  t.match(writer.logged('serving'), { store: 'MongoDB', model: 'mistral' })

  const pasted = await paste(await writer.greeting(), { BOOTSTRAP_API_KEY: key })
  t.match(pasted.reply, /^sim:/, 'the printed lines read the key from the environment')

  const { events } = await writing.events(path, { body: { message: 'How are you?' } })
  const sent = allOf(events)
  await clock.step(2)
  const messageId = await (async () => {
    for (;;) {
      const { body } = await reading.ask<{ data: Array<{ id: string, content: string }> }>(path)
      if (body.data[1]?.content) return body.data[1].id
    }
  })()
  const followed = await reading.events(`${path}/${messageId}/stream`)
  const received: SentEvent[] = []
  const iterator = followed.events[Symbol.asyncIterator]()
  received.push((await iterator.next()).value as SentEvent)
  t.equal((await reader.end()).code, 0)
  t.ok(reader.stdout.trim().split('\n').every((line) => line.startsWith('{')), 'production prints no conversation, and nothing but JSON')
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) received.push(next.value)
  t.equal(received[0]!.event, 'message.delta')
  t.strictSame(received.at(-1), { event: 'stream.reconnect', id: undefined, data: {} }, 'a reader is asked to come back elsewhere')

  writer.child.kill('SIGTERM')
  let ready = 200
  while (ready === 200) ready = (await writing.ask('/health/ready')).status
  t.equal(ready, 503, 'it is not ready while it drains')
  const refused = await writing.ask(path, { body: { message: 'One more.' } })
  t.equal(refused.status, 503)
  t.match(refused.body, { code: 'overloaded', retryable: true })
  t.equal(refused.headers.get('connection'), 'close')
  clock.run()
  const all = await sent
  t.equal(all.at(-1)!.event, 'message.completed', 'a running turn gets its end')
  t.match(all.at(-1)!.data, { botMessage: { content: /^sim:/ } })
  t.equal((await writer.ended).code, 0)

  for (const { stdout, stderr } of [writer, reader]) t.notMatch(stdout + stderr, key, 'a key that was given is never printed')
})
