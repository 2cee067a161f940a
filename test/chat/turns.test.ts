import { getEventListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { ObjectId } from 'mongodb'
import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { LiveMessage } from '../../src/chat/live-message.ts'
import { allOf, databaseName, startApp, storeUri, type SentEvent, type TestApp } from '../helper.ts'
import { RedisServer, withoutRedis } from '../redis-server.ts'
import { eventually, history, leaveTurn, startReplicas, textOf, writeMessages, type MessageView } from '../replicas.ts'
import { promptOf, startAppWithSim, startTestSim, StepClock } from '../sim.ts'
import { endingCommands } from '../turn-commands.ts'

t.test('a turn costs three waves of few commands', async (t) => {
  const env = { MONGODB_DATABASE: databaseName(), BOOTSTRAP_API_KEY: newApiKey() }
  const first = await startApp(t, env)
  const other = await startApp(t, env)
  // What the search index and the ledger are told of is none of a turn's work.
  for (const { app } of [first, other]) await Promise.all([app.messageSearch.close(), app.usageLedger.close()])
  const session = await first.client.converse()
  const sendAndCount = async ({ app, client }: TestApp, session: string, headers: Record<string, string> = {}) => {
    await client.ask('/api/sessions?limit=1')
    const names: string[] = []
    const count = ({ commandName, command }: { commandName: string, command: Record<string, unknown> }) => {
      // What asks for nobody's documents in particular is background work.
      // Health looks after the store now and then.
      if (commandName === 'ping') return
      const filter = command['filter'] as object | undefined
      if (!filter || ['_id', 'sessionId', 'tenantId'].some((field) => field in filter)) names.push(commandName)
    }
    app.mongo.client.on('commandStarted', count)
    t.match(await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Hello' }, headers }), { status: 200 })
    app.mongo.client.off('commandStarted', count)
    return names
  }
  const ending = await endingCommands(first.db)
  t.same(await sendAndCount(first, session), ['findAndModify', 'insert', ...ending], 'the first message has no history to read')
  const cold = await sendAndCount(other, session)
  t.equal(cold.length, 3 + ending.length)
  t.same(cold.slice(1, 3).sort(), ['aggregate', 'insert'], 'a chatbot that is not in memory comes with the history')
  const coldFirst = await sendAndCount(other, await first.client.converse())
  t.same([...coldFirst].sort(), ['find', 'findAndModify', 'insert', ...ending].sort())
  const second = await sendAndCount(first, session, { 'idempotency-key': 'k' })
  t.equal(second[0], 'findAndModify', 'first the turn is taken')
  t.same(second.slice(1, 3).sort(), ['find', 'insert'], 'then the messages are written while the history is read')
  t.same(second.slice(3), ending, 'at last the message is ended while the turn is released')
  t.same(
    await sendAndCount(first, session), ['findAndModify', 'insert', ...ending], 'what was said last is still known'
  )
})

t.test('a reply that is written by another replica can be followed, joined by its key, and stopped', async (t) => {
  const clock = new StepClock()
  const { first, second, sim } = await startReplicas(t, clock)
  const session = await first.client.converse()
  const path = `/api/sessions/${session}/messages`
  const body = { message: 'one two three four five six' }
  const key = { 'idempotency-key': 'k' }
  const started = await first.client.events(path, { body, headers: key })
  await clock.step(4)
  const [, bot] = await eventually(second, session, ([, bot]) => bot !== undefined && bot.content !== '')
  const followed = second.client.events(`${path}/${bot!.id}/stream`)
  const joined = second.client.ask<{ reply: string }>(path, { body, headers: key })
  t.match(await second.client.ask(path, { body: { message: 'other' } }), { status: 409, body: { code: 'session_busy' } })
  const { events: following } = await followed
  const piece = { text: 'not of this reply', over: 0 }
  for (const offset of [10_000, 'x']) second.app.bus.publish(`text:${bot!.id}`, { ...piece, offset })
  second.app.bus.publish(`text:${bot!.id}`, { offset: 0, text: '', over: 1 })
  clock.run()
  const events = await allOf(following)
  t.equal(events.at(-1)!.event, 'message.completed')
  const { reply } = (await joined).body
  t.equal(events.filter(({ event }) => event === 'message.delta').map(({ data }) => data['delta']).join(''), reply)
  await allOf(started.events)
  t.equal(sim.requests().length, 1)
})

t.test('a stop on another replica ends the reply here', async (t) => {
  const clock = new StepClock()
  const { first, second, sim } = await startReplicas(t, clock)
  const session = await first.client.converse()
  const path = `/api/sessions/${session}/messages`
  const events = allOf((await first.client.events(path, { body: { message: 'one two three four five six' } })).events)
  await clock.step(3)
  const [, bot] = await eventually(second, session, ([, bot]) => bot !== undefined && bot.content !== '')
  const stopped = await second.client.ask<MessageView>(`${path}/${bot!.id}/stop`, { method: 'POST' })
  t.match(stopped, { status: 200, body: { status: 'stopped', usage: { estimated: true } } })
  t.ok(stopped.body.content.startsWith(bot!.content))
  const all = await events
  t.match(all.at(-1), { event: 'message.stopped', data: { botMessage: stopped.body } })
  await sim.idle()
  t.equal(sim.requests()[0]!.aborted, true)
  clock.run()
  t.match(await second.client.ask(path, { body: { message: 'next' } }), { status: 200 })
})

t.test('a reader elsewhere is told when there is nothing to follow any more', async (t) => {
  const app = await startApp(t)
  const { session, botId } = await leaveTurn(app, { messages: 2 })
  const { events } = await app.client.events(`/api/sessions/${session}/messages/${botId.toHexString()}/stream`)
  await app.db.collection('messages').deleteMany({})
  t.match((await allOf(events)).at(-1), {
    event: 'message.failed', data: { botMessage: { status: 'failed', content: 'Partial' }, problem: { code: 'not_found' } }
  })
})

t.test('a send whose chatbot is deleted meanwhile is not found', async (t) => {
  const app = await startApp(t)
  const session = await app.client.converse()
  // As another replica does it: the chatbot that is remembered here is none.
  const other = await startApp(t, { MONGODB_DATABASE: app.db.databaseName, BOOTSTRAP_API_KEY: app.adminKey })
  await app.db.collection('configs').updateMany({}, { $set: { deletedAt: new Date() } })
  t.match(await other.client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Hello' } }), { status: 404 })
  t.match(await app.db.collection('sessions').findOne({}), { turn: null })
})

t.test('a twin whose message is not written yet is waited for', async (t) => {
  const app = await startApp(t, {})
  const { session, botId } = await leaveTurn(app, { messages: 0 })
  const sessions = app.db.collection('sessions')
  const held = { 'turn.leaseUntil': new Date(Date.now() + 3_600_000), 'turn.idempotencyKey': 'k' }
  await sessions.updateOne({ _id: new ObjectId(session) }, { $set: held })
  const looked = new Promise<void>((resolve) => {
    app.app.mongo.client.on('commandSucceeded', ({ commandName, reply }) => {
      if (commandName === 'find' && (reply as { cursor: { ns: string } }).cursor.ns.endsWith('.messages')) resolve()
    })
  })
  const again = app.client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Hello' }, headers: { 'idempotency-key': 'k' } })
  await looked
  await writeMessages(app, session, botId, 'completed')
  t.match(await again, { status: 200, body: { reply: 'Partial', botMessage: { id: botId.toHexString() } } })
})

t.test('a reply whose writer does not hear is stopped all the same, with the text that is stored', async (t) => {
  const app = await startApp(t)
  const { session, botId } = await leaveTurn(app, { messages: 2 })
  const sessions = app.db.collection('sessions')
  await sessions.updateOne({ _id: new ObjectId(session) }, { $set: { 'turn.leaseUntil': new Date(Date.now() + 3_600_000) } })
  const path = `/api/sessions/${session}/messages`
  const stopped = await app.client.ask(`${path}/${botId.toHexString()}/stop`, { method: 'POST' })
  t.match(stopped, { status: 200, body: { status: 'stopped', content: 'Partial' } })
  t.match(await app.client.ask(path, { body: { message: 'next' } }), { status: 200, body: { userMessage: { seq: 3 } } })
})

t.test('by Redis, a reader elsewhere gets the text as it is written', { skip: withoutRedis }, async (t) => {
  const clock = new StepClock()
  const redis = await RedisServer.start(t)
  const { first, second } = await startReplicas(t, clock, { REDIS_URL: redis.url, STREAM_FLUSH_MS: '3600000' })
  while (!first.app.bus.isInstant || !second.app.bus.isInstant) await setImmediate()
  const session = await first.client.converse()
  const path = `/api/sessions/${session}/messages`
  const words = Array.from({ length: 40 }, (_, i) => `wörd${i} 👋🏽`).join(' ')
  const sent = await first.client.events(path, { body: { message: words } })
  const [, bot] = await eventually(second, session, ([, bot]) => bot !== undefined)
  const streamPath = `${path}/${bot!.id}/stream`
  const reader = (await second.client.events(streamPath)).events[Symbol.asyncIterator]()
  await clock.step(10)
  const received: SentEvent[] = [(await reader.next()).value as SentEvent]
  t.equal(received[0]!.event, 'message.delta', 'long before it is in the store')
  const late = allOf((await second.client.events(`${streamPath}?offset=3`)).events)
  await clock.step(10)
  received.push((await reader.next()).value as SentEvent)
  await redis.stop()
  clock.run()
  for (let next = await reader.next(); !next.done; next = await reader.next()) received.push(next.value)
  const text = textOf(await allOf(sent.events))
  t.equal(textOf(received), text, 'and the rest when Redis is away')
  t.equal(textOf(await late, 3), text.slice(3))
  t.equal(received.at(-1)!.event, 'message.completed')
})

t.test('a character whose halves come one by one is told as a whole', async (t) => {
  const now = new Date()
  const message = new LiveMessage({
    id: 'a',
    tenantId: 't',
    configId: 'b',
    sessionId: 'c',
    userId: null,
    channel: null,
    seq: 2,
    rev: 1,
    parentId: null,
    branchId: null,
    role: 'bot',
    content: '',
    timestamp: now,
    status: 'streaming'
  })
  const texts: string[] = []
  message.subscribe(() => texts.push(message.text))
  for (const piece of ['a\ud83d', '\udc4b', '\ud83d', '\ud83d\udc4b', '\udc4b', 'z']) message.append(piece)
  t.same(texts, ['a', 'a👋', 'a👋', 'a👋\ufffd👋', 'a👋\ufffd👋\ufffd', 'a👋\ufffd👋\ufffdz'])
})

t.test('sends on two replicas queue up and every prompt holds exactly what was said before', async (t) => {
  const clock = new StepClock()
  clock.run()
  const { first, second, sim } = await startReplicas(t, clock)
  const session = await first.client.converse({ historyLimit: 100 })
  const answers = await Promise.all(Array.from({ length: 20 }, async (_, i) => await (i % 2 === 0 ? first : second).client.ask(
    `/api/sessions/${session}/messages?onBusy=queue`, { body: { message: `m${i}` } }
  )))
  t.ok(answers.every(({ status }) => status === 200))
  const messages = await history(first, session)
  t.same(messages.map(({ seq }) => seq), Array.from({ length: 40 }, (_, i) => i + 1))
  for (const [n, { content }] of messages.filter(({ role }) => role === 'user').entries()) {
    const prompt = promptOf(sim, n)
    t.equal(prompt.at(-1)!.content, content)
    t.same(prompt.slice(1, -1).map(({ content }) => content), messages.slice(0, 2 * n).map(({ content }) => content))
  }
})

t.test('the reaper ends what a crashed process was writing, with its partial text', async (t) => {
  const app = await startApp(t)
  const { session } = await leaveTurn(app, { messages: 2 })
  await app.app.chat.reap()
  t.match(await history(app, session), [{ status: 'completed' }, { status: 'interrupted', content: 'Partial', error: { code: 'overloaded' } }])
  t.match(await app.client.ask(`/api/sessions/${session}/messages`, { body: { message: 'next' } }), { status: 200, body: { userMessage: { seq: 3 } } })
})

t.test('a send takes over a lapsed turn and gives back the numbers that no message bears', async (t) => {
  const app = await startApp(t)
  for (const messages of [0, 1, 2] as const) {
    const { session } = await leaveTurn(app, { messages })
    const answer = await app.client.ask(`/api/sessions/${session}/messages`, { body: { message: 'next' } })
    t.match(answer, { status: 200, body: { userMessage: { seq: messages + 1 }, botMessage: { seq: messages + 2 } } })
    if (messages === 2) t.match((await history(app, session))[1], { status: 'interrupted' })
  }
})

t.test('a turn that is alive is left alone by the reaper of another replica', async (t) => {
  const clock = new StepClock()
  const { first, second } = await startReplicas(t, clock)
  const session = await first.client.converse()
  const events = allOf((await first.client.events(`/api/sessions/${session}/messages`, { body: { message: 'one two' } })).events)
  await clock.step(1)
  await eventually(second, session, ([, bot]) => bot !== undefined)
  await second.app.chat.reap()
  await second.app.chat.reap()
  clock.run()
  t.equal((await events).at(-1)!.event, 'message.completed')
})

t.test('a message that streams without a turn is ended when it is seen twice', async (t) => {
  const app = await startApp(t)
  const { session } = await leaveTurn(app, { messages: 2 })
  await app.db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $set: { turn: null } })
  await app.app.chat.reap()
  t.match((await history(app, session))[1], { status: 'streaming' }, 'its end may be on its way')
  await app.app.chat.reap()
  t.match((await history(app, session))[1], { status: 'interrupted' })
})

t.test('a holder whose lease lapsed learns it and stops', async (t) => {
  const clock = new StepClock()
  const { first, second, sim } = await startReplicas(t, clock, { TURN_LEASE_MS: '60' })
  const session = await first.client.converse()
  const events = allOf((await first.client.events(`/api/sessions/${session}/messages`, { body: { message: 'one two three' } })).events)
  await clock.step(2)
  await eventually(second, session, ([, bot]) => bot !== undefined)
  await first.db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $set: { 'turn.leaseUntil': new Date(0), 'turn.lapsed': true } })
  await second.app.chat.reap()
  const last = (await events).at(-1)!
  t.equal(last.event, 'message.interrupted')
  await sim.idle()
  t.equal(sim.requests()[0]!.aborted, true)
  clock.run()
})

t.test('a number that a stalled process took after all does not block the session', async (t) => {
  const app = await startApp(t)
  const { session } = await leaveTurn(app, { messages: 2 })
  await app.db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $set: { turn: null, nextSeq: 1 } })
  const answer = await app.client.ask(`/api/sessions/${session}/messages`, { body: { message: 'next' } })
  t.match(answer, { status: 200, body: { userMessage: { seq: 3 } } })
})

t.test('what was deleted before a crash is purged after it', async (t) => {
  const app = await startApp(t)
  const { session } = await leaveTurn(app, { messages: 2 })
  const config = await app.client.createConfig()
  await app.client.createSession(config)
  await app.db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $set: { status: 'deleted' } })
  await app.db.collection('configs').updateOne({ _id: new ObjectId(config) }, { $set: { deletedAt: new Date() } })
  const again = await startApp(t, { MONGODB_DATABASE: app.db.databaseName, MONGODB_URI: await storeUri() })
  await again.app.chat.purge()
  t.equal(await app.db.collection('messages').countDocuments({}), 0)
  t.equal(await app.db.collection('sessions').countDocuments({}), 0)
  t.equal(await app.db.collection('configs').countDocuments({}), 1, 'the other chatbot is still there')
})

t.test('a text that is larger than what a connection takes at once arrives whole', async (t) => {
  const { client } = await startAppWithSim(t, {}, { MAX_MESSAGE_CHARS: '100000', BODY_LIMIT_BYTES: '1048576' })
  const session = await client.converse()
  const path = `/api/sessions/${session}/messages`
  const { body } = await client.ask<{ botMessage: MessageView }>(path, { body: { message: 'Boote 🚤 '.repeat(12_000) } })
  const { content, id } = body.botMessage
  t.ok(content.length > 100_000)
  const events = await allOf((await client.events(`${path}/${id}/stream`)).events)
  t.equal(events.filter(({ event }) => event === 'message.delta').map(({ data }) => data['delta'] as string).join(''), content)
  t.equal(events.at(-1)!.event, 'message.completed')
})

t.test('a silent stream is kept open by comments', async (t) => {
  const clock = new StepClock()
  const sim = await startTestSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const { client } = await startApp(t, { MISTRAL_BASE_URL: sim.url, MISTRAL_API_KEY: 'sim' }, { heartbeatMs: 10 })
  const session = await client.converse()
  const response = await client.fetch(`/api/sessions/${session}/messages`, {
    body: { message: 'one two' }, headers: { accept: 'text/event-stream' }
  })
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    if (text.includes(': keep-alive\n\n')) clock.run()
  }
  t.match(text, /: keep-alive\n\n[^]*event: message.completed/)
})

t.test('a reader that has left before its turn begins leaves nothing open', async (t) => {
  const clock = new StepClock()
  const { app, client, sim } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const path = `/api/sessions/${session}/messages`
  const first = await client.events(path, { body: { message: 'one two' } })
  const left = Promise.withResolvers<void>()
  app.server.on('request', (_request, response) => { response.once('close', left.resolve) })
  const leaving = new AbortController()
  const second = client.events(`${path}?onBusy=queue`, { body: { message: 'three' }, signal: leaving.signal })
  app.server.once('request', () => leaving.abort())
  await t.rejects(second)
  await left.promise
  clock.run()
  await allOf(first.events)
  while (sim.requests().length < 2) await setImmediate()
  await sim.idle()
  await eventually({ client }, session, (messages) => messages.length === 4 && messages[3]!.status === 'completed')
  t.equal(getEventListeners(app.chat.closing, 'abort').length, 0)
})

t.test('closing does not wait for a deleted session whose turn another process holds, and leaves it whole', async (t) => {
  const started = await startApp(t)
  const { app, db } = started
  const { session } = await leaveTurn(started, { messages: 2 })
  const inAnHour = new Date(Date.now() + 3_600_000)
  await db.collection('sessions').updateOne(
    { _id: new ObjectId(session) }, { $set: { status: 'deleted', 'turn.leaseUntil': inAnHour } }
  )
  const purging = app.chat.purge()
  while (!await db.collection('messages').findOne({ status: 'stopped' })) await setImmediate()
  await app.chat.close()
  await purging
  t.equal(await db.collection('messages').countDocuments({}), 2)
  t.equal(await db.collection('sessions').countDocuments({}), 1)
})
