import t from 'tap'
import { allOf, startApp, type Client, type SentEvent } from '../helper.ts'
import { promptOf, startAppWithSim, StepClock, type TestAppWithSim } from '../sim.ts'

interface MessageView {
  id: string
  sessionId: string
  seq: number
  role: string
  content: string
  timestamp: string
  status: string
  replyTo?: string
  model?: string
  finishReason?: string
  usage?: Record<string, unknown>
  error?: { code: string, detail: string }
}
interface Exchange { reply: string, userMessage: MessageView, botMessage: MessageView }
interface ProblemView { code: string, status: number, detail: string, retryable: boolean, userMessage: MessageView, botMessage: MessageView }

const send = async <T = Exchange> (client: Client, session: string, message: string, headers: Record<string, string> = {}, query = '') =>
  await client.ask<T>(`/api/sessions/${session}/messages${query}`, { body: { message }, headers })

const stream = async (client: Client, session: string, message: string, headers: Record<string, string> = {}, query = '') =>
  await client.events(`/api/sessions/${session}/messages${query}`, { body: { message }, headers })

const history = async (client: Client, session: string) =>
  (await client.ask<{ data: MessageView[] }>(`/api/sessions/${session}/messages?limit=200`)).body.data

const textOf = (events: SentEvent[]) => events.filter(({ event }) => event === 'message.delta').map(({ data }) => data['delta']).join('')

/** Reads on until an event of this name comes. */
async function until (events: AsyncIterator<SentEvent>, name: string): Promise<SentEvent> {
  for (;;) {
    const next = await events.next()
    if (next.done) throw new Error(`the stream ended before ${name}`)
    if (next.value.event === name) return next.value
  }
}

let shared: Promise<TestAppWithSim> | undefined

/** One app for all tests that need no other, with a simulator that has forgotten the last one. */
async function appWithSim (): Promise<TestAppWithSim> {
  const app = await (shared ??= startAppWithSim(t))
  app.sim.reset()
  return app
}

// A model that asks to come back so late is not asked again.
const later = { 'retry-after': '25' }
const tooLateToRetry = { MISTRAL_TIMEOUT_MS: '20000' }

const ended = (event: SentEvent) => event.data as { botMessage: MessageView, problem?: { code: string } }
const begun = (event: SentEvent) => event.data as { userMessage: MessageView, botMessage: MessageView }

t.test('a message is answered, and both sides are kept in order', async (t) => {
  const { client } = await startApp(t)
  const session = await client.converse({ instructions: 'Orders ship within two days. Returns are free for 30 days.' })
  const { status, body } = await send(client, session, 'When do you ship?')
  t.equal(status, 200)
  t.equal(body.reply, 'Orders ship within two days.')
  t.match(body.userMessage, { seq: 1, role: 'user', content: 'When do you ship?', status: 'completed', sessionId: session })
  t.match(body.botMessage, {
    seq: 2, role: 'bot', content: body.reply, status: 'completed', replyTo: body.userMessage.id, model: 'offline-extractive', finishReason: 'stop'
  })
  t.match(body.botMessage.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.match(body.botMessage.usage, { estimated: true })
  await send(client, session, 'Are returns free?')
  t.same((await history(client, session)).map(({ seq, role }) => [seq, role]), [[1, 'user'], [2, 'bot'], [3, 'user'], [4, 'bot']])
  t.match((await client.ask(`/api/sessions/${session}`)).body, { messageCount: 4 })
  t.match((await client.ask(`/api/sessions/${session}/messages/${body.botMessage.id}`)).body, { id: body.botMessage.id, content: body.reply })
})

t.test('the history is read by seq in both directions', async (t) => {
  const { client } = await startApp(t)
  const session = await client.converse()
  for (let i = 0; i < 5; i++) await send(client, session, `Message ${i}`)
  const read = async (query: string) => {
    const { body } = await client.ask<{ data: MessageView[], hasMore: boolean }>(`/api/sessions/${session}/messages?${query}`)
    return [body.data.map(({ seq }) => seq), body.hasMore]
  }
  t.same(await read('limit=3'), [[8, 9, 10], true], 'the newest without a direction')
  t.same(await read('limit=3&before=8'), [[5, 6, 7], true])
  t.same(await read('limit=3&before=4'), [[1, 2, 3], false])
  t.same(await read('limit=3&after=0'), [[1, 2, 3], true])
  t.same(await read('limit=3&after=7'), [[8, 9, 10], false])
  t.same(await read('after=10'), [[], false])
  for (const query of ['limit=0', 'limit=201', 'after=-1', 'before=0', 'after=1&before=3', 'after=x', 'skip=1']) {
    t.match(await client.ask(`/api/sessions/${session}/messages?${query}`), { status: 400, body: { code: 'validation_failed' } }, query)
  }
})

t.test('a reply is streamed as events whose deltas are the stored text', async (t) => {
  const { client } = await appWithSim()
  const session = await client.converse()
  const { response, events } = await stream(client, session, 'Grüße 👋 aus Köln, wie geht es?')
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), 'text/event-stream')
  t.ok(response.headers.get('x-request-id'))
  const all = await allOf(events)
  t.equal(all[0]!.event, 'message.started')
  t.match(begun(all[0]!), { userMessage: { seq: 1 }, botMessage: { seq: 2, status: 'streaming', content: '' } })
  t.equal(all.at(-1)!.event, 'message.completed')
  const { botMessage } = ended(all.at(-1)!)
  t.equal(textOf(all), botMessage.content)
  t.match(botMessage.content, 'Grüße 👋 aus Köln')
  let offset = 0
  for (const { id, data } of all.filter(({ event }) => event === 'message.delta')) {
    t.equal(data['offset'], offset)
    offset += (data['delta'] as string).length
    t.equal(id, `2:${offset}`)
  }
  t.same((await history(client, session))[1], botMessage)
})

t.test('the first delta arrives long before the model has ended', async (t) => {
  const clock = new StepClock()
  const { client, sim } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const { events } = await stream(client, session, Array.from({ length: 50 }, (_, i) => `word${i}`).join(' '))
  const reader = events[Symbol.asyncIterator]()
  await clock.step(3)
  await until(reader, 'message.delta')
  t.ok(sim.requests()[0]!.chunksSent < 10, 'the model is still at its beginning')
  clock.run()
  t.equal(ended(await until(reader, 'message.completed')).botMessage.status, 'completed')
  t.ok(sim.requests()[0]!.chunksSent > 50)
})

t.test('the model is given the system text, the last historyLimit messages and the new one', async (t) => {
  const { client, sim } = await appWithSim()
  const session = await client.converse({
    purpose: 'Sell boats.',
    domain: ['boats', 'sails'],
    tone: { style: 'salty', language: 'de' },
    instructions: 'Mention the harbour.',
    historyLimit: 3,
    model: { name: 'mistral-large-latest', temperature: 0.2, maxTokens: 50 }
  })
  for (const text of ['one', 'two', 'three']) await send(client, session, text)
  const prompt = promptOf(sim, 2)
  t.same(prompt.map(({ role }) => role), ['system', 'assistant', 'user', 'assistant', 'user'])
  for (const part of ['Sell boats.', 'boats, sails', 'salty', 'German', 'Mention the harbour.']) t.match(prompt[0]!.content, part)
  t.same([prompt[2]!.content, prompt[4]!.content], ['two', 'three'])
  t.match(sim.requests()[2]!.json, { model: 'mistral-large-latest', temperature: 0.2, max_tokens: 50 })
  t.match((await history(client, session))[1], { model: 'mistral-large-latest', usage: { promptTokens: Number } })
})

t.test('a change of the configuration counts from the next turn on', async (t) => {
  const { client, sim } = await appWithSim()
  const config = await client.createConfig({ instructions: 'Old.' })
  const session = await client.createSession(config)
  await send(client, session, 'one')
  await client.ask(`/api/configs/${config}`, { method: 'PATCH', body: { instructions: 'New.' } })
  await send(client, session, 'two')
  t.match(promptOf(sim, 1)[0]!.content, 'New.')
})

t.test('when the model fails, the user message is kept and the client is told what happened', async (t) => {
  const { client, sim } = await startAppWithSim(t, {}, tooLateToRetry)
  // The last one pauses the model.
  const cases = [
    [{ status: { code: 500, headers: later } }, 502, 'upstream_failed'],
    [{ status: { code: 401 } }, 502, 'upstream_rejected'],
    [{ status: { code: 422 } }, 502, 'upstream_rejected'],
    [{ status: { code: 503, headers: later } }, 503, 'upstream_unavailable'],
    [{ status: { code: 429, headers: later } }, 503, 'upstream_rate_limited']
  ] as const
  for (const [fault, status, code] of cases) {
    const session = await client.converse()
    sim.script([{ fault }])
    const answer = await send<ProblemView>(client, session, 'Hello?')
    t.equal(answer.status, status, code)
    t.match(answer.headers.get('content-type'), 'application/problem+json')
    t.match(answer.body, {
      code, status, userMessage: { seq: 1, status: 'completed' }, botMessage: { seq: 2, status: 'failed', error: { code } }
    })
    t.match(await history(client, session), [{ content: 'Hello?', status: 'completed' }, { status: 'failed', error: { code } }])
    if (code === 'upstream_rate_limited') {
      t.ok(Number(answer.headers.get('retry-after')) > 0)
      continue
    }
    t.equal((await send(client, session, 'Again?')).status, 200, 'the session goes on')
    t.notMatch(promptOf(sim, sim.requests().length - 1).map(({ role }) => role), ['assistant'], 'the failed reply was not said')
  }
})

t.test('a stream that breaks keeps its partial text and ends with message.failed', async (t) => {
  const { client, sim } = await appWithSim()
  const faults = [{ reset: { afterChunks: 4 } }, { truncate: { chunks: 4 } }, { malformed: 'badJson' }, { errorChunk: 'mistral' }, { errorChunk: 'finish_reason' }]
  for (const fault of faults) {
    const session = await client.converse()
    sim.script([{ fault: fault as never }])
    const { response, events } = await stream(client, session, 'one two three four five six seven eight nine ten')
    t.equal(response.status, 200)
    const all = await allOf(events)
    const last = all.at(-1)!
    t.equal(last.event, 'message.failed', JSON.stringify(fault))
    t.match(ended(last), { botMessage: { status: 'failed', error: { code: 'upstream_failed' } }, problem: { code: 'upstream_failed', status: 502 } })
    t.ok(textOf(all).length > 0)
    t.equal(textOf(all), ended(last).botMessage.content)
    t.same((await history(client, session))[1], ended(last).botMessage)
  }
})

t.test('a finished message can be read again from every offset', async (t) => {
  const { client } = await appWithSim()
  const session = await client.converse()
  const { body: { botMessage } } = await send(client, session, 'a 👋🏽 b')
  const path = `/api/sessions/${session}/messages/${botMessage.id}/stream`
  for (let offset = 0; offset <= botMessage.content.length; offset++) {
    const all = await allOf((await client.events(path, { headers: { 'last-event-id': `${botMessage.seq}:${offset}` } })).events)
    t.equal(textOf(all), botMessage.content.slice(offset), `from ${offset}`)
    t.same(ended(all.at(-1)!).botMessage, botMessage)
  }
  t.equal(textOf(await allOf((await client.events(`${path}?offset=3`)).events)), botMessage.content.slice(3))
  t.equal(textOf(await allOf((await client.events(`${path}?offset=100000`)).events)), '')
  for (const id of ['1:0', 'x', '2:', '2:-1', '999:3']) {
    t.match(await client.ask(path, { headers: { 'last-event-id': id } }), { status: 400, body: { code: 'validation_failed' } }, id)
  }
  t.match(await client.ask(`${path}?offset=-1`), { status: 400 })
})

t.test('a second reader joins a running reply, and a reader that leaves does not end it', async (t) => {
  const clock = new StepClock()
  const { client } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const leaving = new AbortController()
  const { events } = await client.events(`/api/sessions/${session}/messages`, { body: { message: 'one two three four five six' }, signal: leaving.signal })
  const first = events[Symbol.asyncIterator]()
  const { botMessage } = begun(await until(first, 'message.started'))
  await clock.step(4)
  const delta = await until(first, 'message.delta')
  const second = await client.events(`/api/sessions/${session}/messages/${botMessage.id}/stream`, { headers: { 'last-event-id': delta.id! } })
  leaving.abort()
  clock.run()
  const rest = await allOf(second.events)
  t.equal(rest.at(-1)!.event, 'message.completed')
  t.equal((delta.data['delta'] as string) + textOf(rest), ended(rest.at(-1)!).botMessage.content)
  t.match((await history(client, session))[1], { status: 'completed' })
})

t.test('stop ends a running reply with the text it has and aborts the model', async (t) => {
  const clock = new StepClock()
  const { client, sim } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const { events } = await stream(client, session, 'one two three four five six')
  const reader = events[Symbol.asyncIterator]()
  const { botMessage, userMessage } = begun(await until(reader, 'message.started'))
  await clock.step(4)
  const delta = await until(reader, 'message.delta')
  const path = `/api/sessions/${session}/messages`
  const stopped = await client.ask<MessageView>(`${path}/${botMessage.id}/stop`, { method: 'POST' })
  t.match(stopped, { status: 200, body: { id: botMessage.id, status: 'stopped', usage: { estimated: true } } })
  t.ok(stopped.body.content.startsWith(delta.data['delta'] as string))
  t.same(ended(await until(reader, 'message.stopped')).botMessage, stopped.body)
  await sim.idle()
  t.equal(sim.requests()[0]!.aborted, true)
  t.same((await client.ask(`${path}/${botMessage.id}/stop`, { method: 'POST' })).body, stopped.body, 'stopping twice changes nothing')
  t.match(await client.ask(`${path}/${userMessage.id}/stop`, { method: 'POST' }), { status: 200, body: { status: 'completed' } })
  clock.run()
  t.equal((await send(client, session, 'go on')).status, 200)
  t.match(promptOf(sim, 1)[2], { role: 'assistant', content: stopped.body.content }, 'what was said before the stop was said')
  t.match(await client.ask(`${path}/${'0'.repeat(24)}/stop`, { method: 'POST' }), { status: 404 })
})

t.test('a caller who waits for JSON is told that the reply was stopped', async (t) => {
  const { client, sim } = await appWithSim()
  const session = await client.converse()
  sim.script([{ fault: { hang: true } }])
  const waiting = send(client, session, 'Hello?')
  let running: MessageView | undefined
  while (!running) running = (await history(client, session)).find(({ status }) => status === 'streaming')
  await client.ask(`/api/sessions/${session}/messages/${running.id}/stop`, { method: 'POST' })
  t.match(await waiting, { status: 200, body: { reply: '', botMessage: { status: 'stopped' } } })
})

t.test('the same idempotency key never makes a second message', async (t) => {
  const { client, sim } = await appWithSim()
  const session = await client.converse()
  const key = { 'idempotency-key': 'order-17' }
  const first = await send(client, session, 'Hello', key)
  t.equal(first.headers.get('idempotency-replayed'), null)
  const again = await send(client, session, 'Hello', key)
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.same(again.body, first.body)
  t.match(await send(client, session, 'Other', key), { status: 422, body: { code: 'idempotency_conflict' } })
  const events = await allOf((await stream(client, session, 'Hello', key)).events)
  t.equal(textOf(events), first.body.reply, 'a replay can be streamed')
  t.match(begun(events[0]!).botMessage, { id: first.body.botMessage.id, status: 'streaming', content: '' })
  t.same(ended(events.at(-1)!).botMessage, first.body.botMessage)
  t.equal((await send(client, await client.converse(), 'Hello', key)).headers.get('idempotency-replayed'), null, 'a key is of one session')
  t.equal((await history(client, session)).length, 2)
  t.match((await client.ask(`/api/sessions/${session}`)).body, { messageCount: 2 }, 'no number was lost')
  await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { status: 'ended' } })
  t.same((await send(client, session, 'Hello', key)).body, first.body, 'also when the session has ended')
  t.equal(sim.requests().length, 2)
  for (const bad of ['', 'x'.repeat(256), 'with space', 'ümlaut']) {
    t.match(await send(client, session, 'Hello', { 'idempotency-key': Buffer.from(bad).toString('latin1') }), { status: 400 }, bad)
  }
})

t.test('twenty identical sends at once make one message and one call', async (t) => {
  const { client, sim } = await appWithSim()
  const session = await client.converse()
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await send(client, session, 'Hello', { 'idempotency-key': 'k' })))
  for (const { status, body } of answers) {
    t.equal(status, 200)
    t.same(body, answers[0]!.body)
  }
  t.equal(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null).length, 1)
  t.equal(sim.requests().length, 1)
  t.equal((await history(client, session)).length, 2)
})

t.test('a key whose turn failed runs again for the same user message', async (t) => {
  const { client, sim } = await startAppWithSim(t, {}, tooLateToRetry)
  const session = await client.converse()
  const key = { 'idempotency-key': 'k' }
  sim.script([{ fault: { status: { code: 500, headers: later } } }])
  const failed = await send<ProblemView>(client, session, 'Hello', key)
  t.equal(failed.status, 502)
  const again = await send(client, session, 'Hello', key)
  t.equal(again.status, 200)
  t.equal(again.body.userMessage.id, failed.body.userMessage.id)
  t.not(again.body.botMessage.id, failed.body.botMessage.id)
  t.same((await history(client, session)).map(({ seq, role, status }) => [seq, role, status]),
    [[1, 'user', 'completed'], [2, 'bot', 'failed'], [3, 'bot', 'completed']])
  t.same(promptOf(sim, 1).map(({ role }) => role), ['system', 'user'])
  t.same((await send(client, session, 'Hello', key)).body, again.body, 'and then is done')
})

t.test('a second send while one is running is refused, waits or interrupts, as asked', async (t) => {
  const clock = new StepClock()
  const { client, sim } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const first = (await stream(client, session, 'one two three four')).events[Symbol.asyncIterator]()
  await until(first, 'message.started')
  t.match(await send<ProblemView>(client, session, 'two'), { status: 409, body: { code: 'session_busy', retryable: true } })
  t.match(await send(client, session, 'two', {}, '?onBusy=sometimes'), { status: 400 })
  await clock.step(3)
  await until(first, 'message.delta')
  const second = (await stream(client, session, 'five six seven', {}, '?onBusy=interrupt')).events[Symbol.asyncIterator]()
  t.equal(ended(await until(first, 'message.stopped')).botMessage.status, 'stopped')
  await until(second, 'message.started')
  const queued = ['eight', 'nine', 'ten'].map(async (text) => await send(client, session, text, {}, '?onBusy=queue'))
  clock.run()
  await until(second, 'message.completed')
  const answers = await Promise.all(queued)
  t.same(answers.map(({ status }) => status), [200, 200, 200])
  const users = (await history(client, session)).filter(({ role }) => role === 'user')
  t.same(users.slice(0, 2).map(({ content }) => content), ['one two three four', 'five six seven'])
  t.same(users.slice(2).map(({ content }) => content).sort(), ['eight', 'nine', 'ten'])
  t.equal(promptOf(sim, 4).length, 10, 'the last prompt holds all that was said before')
})

t.test('no more than 32 sends wait for one session', async (t) => {
  const clock = new StepClock()
  const { client } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const first = (await stream(client, session, 'hold')).events[Symbol.asyncIterator]()
  await until(first, 'message.started')
  const answers = Array.from({ length: 34 }, async (_, i) => await send<ProblemView>(client, session, `m${i}`, {}, '?onBusy=queue'))
  const refused = await Promise.race(answers)
  t.match(refused, { status: 503, body: { code: 'overloaded' } })
  clock.run()
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  t.equal(statuses.filter((status) => status === 200).length, 32)
  t.equal(statuses.filter((status) => status === 503).length, 2)
})

t.test('a send that does not want to wait is told where its reply will be', async (t) => {
  const clock = new StepClock()
  const { client, sim } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const path = `/api/sessions/${session}/messages`
  const headers = { prefer: 'wait=5, Respond-Async; x=1', 'idempotency-key': 'k' }
  const taken = await send<{ userMessage: MessageView, botMessage: MessageView }>(client, session, 'one two three', headers)
  t.equal(taken.status, 202)
  t.match(taken.body, {
    userMessage: { seq: 1, content: 'one two three' }, botMessage: { seq: 2, status: 'streaming', content: '' }
  })
  t.same(Object.keys(taken.body), ['userMessage', 'botMessage'])
  const location = taken.headers.get('location')!
  t.equal(location, `${path}/${taken.body.botMessage.id}`)
  t.equal(taken.headers.get('preference-applied'), 'respond-async')
  t.equal(taken.headers.get('idempotency-replayed'), null)

  const events = await client.events(`${location}/stream`)
  const reader = events.events[Symbol.asyncIterator]()
  await clock.step(4)
  await until(reader, 'message.delta')
  const running = await send<typeof taken.body>(client, session, 'one two three', headers)
  t.equal(running.status, 202)
  t.equal(running.headers.get('idempotency-replayed'), 'true')
  t.match(running.body.botMessage, { id: taken.body.botMessage.id, status: 'streaming', content: /./ })
  clock.run()
  const { botMessage } = ended(await until(reader, 'message.completed'))
  const done = await send<typeof taken.body>(client, session, 'one two three', headers)
  t.equal(done.status, 202)
  t.same(done.body.botMessage, botMessage)
  t.same((await client.ask(location)).body, botMessage)
  t.match(sim.requests(), [{ json: { stream: true } }])

  const waited = await send(client, session, 'four', { prefer: 'return=minimal, respond-asynchronously' })
  t.equal(waited.status, 200)
  t.equal(waited.headers.get('preference-applied'), null)
  const streamed = await stream(client, session, 'five', { prefer: 'respond-async' })
  t.equal(streamed.response.status, 200, 'who asks for events gets them')
  t.equal((await allOf(streamed.events)).at(-1)!.event, 'message.completed')
  t.match(await send(client, session, 'six', { prefer: 'respond-async', 'idempotency-key': 'k' }), { status: 422 })
})

t.test('deleting a session or its chatbot in the middle of a turn leaves nothing behind', async (t) => {
  const clock = new StepClock()
  const { client, db, app } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  for (const what of ['session', 'config']) {
    const config = await client.createConfig()
    const session = await client.createSession(config)
    const reader = (await stream(client, session, 'one two three four')).events[Symbol.asyncIterator]()
    await clock.step(2)
    await until(reader, 'message.delta')
    const deleted = await client.ask(what === 'session' ? `/api/sessions/${session}` : `/api/configs/${config}`, { method: 'DELETE' })
    t.equal(deleted.status, 204)
    t.match(await client.ask(`/api/sessions/${session}/messages`), { status: 404 })
    t.match(await send(client, session, 'more'), { status: 404 })
    await until(reader, 'message.stopped')
    await app.chat.purge()
    t.equal(await db.collection('messages').countDocuments({}), 0)
    t.equal(await db.collection('sessions').countDocuments({}), 0)
  }
  clock.run()
})

t.test('going down refuses new turns, ends running ones and sends readers away', async (t) => {
  const clock = new StepClock()
  const { client, app, sim } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const key = { 'idempotency-key': 'k' }
  const events = allOf((await stream(client, session, 'one two three four', key)).events)
  await clock.step(2)
  const drained = app.chat.drain(0)
  t.match(await send(client, await client.converse(), 'hello'), { status: 503, body: { code: 'overloaded' } })
  t.match(await client.ask('/health/ready'), { status: 503 })
  t.match(await client.ask('/health'), { status: 503, body: { status: 'unavailable', checks: { turns: 'going down' } } })
  await drained
  const names = (await events).map(({ event }) => event)
  t.same(names.slice(-2), ['message.interrupted', 'stream.reconnect'])
  t.match((await history(client, session))[1], { status: 'interrupted', error: { code: 'overloaded' } })
  await sim.idle()
  t.equal(sim.requests()[0]!.aborted, true)
  clock.run()
})
