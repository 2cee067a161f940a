import t, { type Test } from 'tap'
import { allOf, type SentEvent } from '../helper.ts'
import { RedisServer, withoutRedis } from '../redis-server.ts'
import { eventually, startProcesses, textOf } from '../replicas.ts'
import { StepClock } from '../sim.ts'

t.setTimeout(180_000)

// Letters of one to four bytes, characters of several code points, right to left.
const message = Array.from({ length: 12 }, (_, i) => `w${i} é€ 👋🏽 👨‍👩‍👧 日本 שלום`).join(' ')
const READERS_PER_STEP = 6

async function resumeEverywhere (t: Test, env: Record<string, string>): Promise<void> {
  const clock = new StepClock()
  const { clients: [writing, reading], ledger } = await startProcesses(t, { clock, cadence: { chunkDelayMs: 20 } }, env)
  const session = await writing.converse()
  const path = `/api/sessions/${session}/messages`
  const sent = allOf((await writing.events(path, { body: { message } })).events)
  const [, bot] = await eventually({ client: reading }, session, ([, bot]) => bot !== undefined)
  const streamPath = `${path}/${bot!.id}/stream`

  // The reply repeats the message, so it is longer.
  const offsets = Array.from({ length: message.length }, (_, i) => i)
  const received: Array<Promise<SentEvent[]>> = []
  for (const offset of offsets) {
    // Some come before there is so much text, some after.
    const { events } = await reading.events(streamPath, { headers: { 'last-event-id': `2:${offset}` } })
    received.push(allOf(events))
    if (offset % READERS_PER_STEP === 0) await clock.step()
  }
  clock.run()
  const all = await sent
  const text = textOf(all)
  t.ok(text.length > message.length)
  for (const [offset, events] of (await Promise.all(received)).entries()) {
    if (textOf(events, offset) !== text.slice(offset)) t.equal(textOf(events, offset), text.slice(offset), `from ${offset}`)
    if (events.at(-1)!.event !== 'message.completed') t.equal(events.at(-1)!.event, 'message.completed', `from ${offset}`)
  }
  for (let offset = 0; offset <= text.length; offset++) {
    const events = await allOf((await reading.events(`${streamPath}?offset=${offset}`)).events)
    if (textOf(events, offset) !== text.slice(offset)) t.equal(textOf(events, offset), text.slice(offset), `afterwards, from ${offset}`)
  }
  t.same((await reading.ask<{ content: string }>(`${path}/${bot!.id}`)).body.content, text)
  t.same(await ledger(), [])
}

t.test('a second process gives the rest of a running reply from every offset, by the store', async (t) => {
  await resumeEverywhere(t, {})
})

t.test('a second process gives the rest of a running reply from every offset, by Redis', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start(t)
  await resumeEverywhere(t, { REDIS_URL: redis.url, STREAM_FLUSH_MS: '2000' })
})
