import { MongoClient, ObjectId } from 'mongodb'
import t from 'tap'
import { type Message as MessageView } from '../../schemas/message.ts'
import { allOf, type Client, databaseName, startApp, storeUri } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { promptOf, StepClock, startAppWithSim, type TestAppWithSim } from '../sim.ts'

interface Exchange extends Record<string, unknown> {
  reply: string
  userMessage: MessageView
  botMessage: MessageView
}
type Answer = Awaited<ReturnType<typeof Client.prototype.ask<Exchange>>>

/** What a client does with the messages of one session. */
function talk (client: Client, session: string) {
  const path = `/api/sessions/${session}/messages`
  return {
    path,
    send: async (message: string, headers = {}): Promise<Answer> => await client.ask(path, { body: { message }, headers }),
    edit: async (id: string, message: string, headers = {}): Promise<Answer> =>
      await client.ask(`${path}/${id}`, { method: 'PUT', body: { message }, headers }),
    regenerate: async (id: string, headers = {}): Promise<Answer> => await client.ask(`${path}/${id}/regenerate`, { method: 'POST', headers }),
    texts: async (query = ''): Promise<string[]> => {
      const { body } = await client.ask<{ data: MessageView[] }>(`${path}${query}`)
      return body.data.map(({ role, content }) => role === 'user' ? content : `> ${content}`)
    },
    branches: async () => (await client.ask<{ data: Array<Record<string, unknown>> }>(`/api/sessions/${session}/branches`)).body.data,
    read: async () => (await client.ask(`/api/sessions/${session}`)).body
  }
}

/** Sends a message and reads the first event of its reply, and then the rest. */
async function begin (client: Client, session: string, message: string) {
  const { events } = await client.events(`/api/sessions/${session}/messages`, { body: { message } })
  const reader = events[Symbol.asyncIterator]()
  const { value } = await reader.next() as { value: { data: { userMessage: MessageView, botMessage: MessageView } } }
  return { data: value.data, rest: allOf({ [Symbol.asyncIterator]: () => reader }) }
}

let shared: Promise<TestAppWithSim> | undefined

/** One app for all tests that need no other, with a simulator that has forgotten the last one, and a session in it. */
async function sessionWithSim () {
  const app = await (shared ??= startAppWithSim(t))
  app.sim.reset()
  const session = await app.client.converse()
  return { ...app, session, ...talk(app.client, session) }
}

const refusal = { fault: { status: { code: 400 } } } as const

t.test('an edit goes on from before the message, and what was said before stays on its branch', async (t) => {
  const { client, db, sim, session, send, edit, texts, branches, path } = await sessionWithSim()
  const first = await send('one')
  const second = await send('two')
  await send('three')
  const edited = await edit(second.body.userMessage.id, 'other')
  t.equal(edited.status, 200)
  const { userMessage, botMessage } = edited.body
  t.match(userMessage, { editOf: second.body.userMessage.id, parentId: first.body.botMessage.id, seq: 7, content: 'other' })
  t.match(botMessage, { parentId: userMessage.id, replyTo: userMessage.id, seq: 8, branchId: userMessage.branchId })
  t.same(promptOf(sim, 3).slice(1).map(({ content }) => content), ['one', first.body.reply, 'other'])
  t.same((await texts()).filter((text) => !text.startsWith('>')), ['one', 'other'])
  t.same((await texts(`?branch=${session}`)).filter((text) => !text.startsWith('>')), ['one', 'two', 'three'])
  t.match(await branches(), [
    { id: session, from: null, parentId: null, startSeq: 1, active: false },
    { id: botMessage.branchId, from: session, parentId: first.body.botMessage.id, startSeq: 7, active: true }
  ])
  const variants = await client.ask<{ data: MessageView[] }>(`${path}/${second.body.userMessage.id}/variants`)
  t.same(variants.body.data.map(({ content }) => content), ['two', 'other'])

  const back = await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { branchId: session } })
  t.match(back.body, { branchId: session, messageCount: 8 })
  const fourth = await send('four')
  t.match(fourth.body.userMessage, { branchId: session, seq: 9 })
  t.same(promptOf(sim, 4).filter(({ role }) => role === 'user').map(({ content }) => content), ['one', 'two', 'three', 'four'])
  const again = await edit(first.body.userMessage.id, 'from the start')
  t.equal(again.body.userMessage.parentId, null)
  t.equal(promptOf(sim, 5).length, 2, 'nothing was said before')
  t.same((await client.ask<{ data: MessageView[] }>(`${path}/${again.body.userMessage.id}/variants`)).body.data.map(({ content }) => content),
    ['one', 'from the start'])
  t.same((await texts('?limit=1')).length, 1)
  t.same(await checkLedger(await storeUri(), db.databaseName), [])
})

t.test('a reply is regenerated, whoever is named, and its variants stay', async (t) => {
  const { client, db, sim, send, regenerate, path, texts } = await sessionWithSim()
  await send('one')
  const { body: { userMessage, botMessage } } = await send('two')
  await send('three')
  const second = await regenerate(botMessage.id)
  t.match(second, { status: 200, body: { userMessage: { id: userMessage.id }, botMessage: { replyTo: userMessage.id, parentId: userMessage.id, seq: 7 } } })
  t.same(promptOf(sim, 3), promptOf(sim, 1), 'the model is asked the same')
  const third = await regenerate(userMessage.id)
  t.match(third.body.botMessage, { replyTo: userMessage.id, parentId: userMessage.id, seq: 8 })
  const variants = await client.ask<{ data: MessageView[] }>(`${path}/${second.body.botMessage.id}/variants`)
  t.same(variants.body.data.map(({ id }) => id), [botMessage, second.body.botMessage, third.body.botMessage].map(({ id }) => id))
  t.equal((await texts()).length, 4)
  const fourth = await send('four')
  t.equal(fourth.body.userMessage.parentId, third.body.botMessage.id)
  t.same(promptOf(sim, 5).filter(({ role }) => role === 'user').map(({ content }) => content), ['one', 'two', 'four'])
  t.same(await checkLedger(await storeUri(), db.databaseName), [])
})

t.test('edits and regenerations can be repeated, streamed and left to run', async (t) => {
  const { client, db, sim, send, edit, regenerate, path, branches } = await sessionWithSim()
  const { body: { userMessage, botMessage } } = await send('one')
  const key = { 'idempotency-key': 'k1' }
  const edited = await edit(userMessage.id, 'other', key)
  const repeated = await edit(userMessage.id, 'other', key)
  t.equal(repeated.headers.get('idempotency-replayed'), 'true')
  t.same(repeated.body, edited.body)
  t.match(await edit(userMessage.id, 'another', key), { status: 422, body: { code: 'idempotency_conflict' } })
  t.match(await send('other', key), { status: 422 }, 'a key stands for one operation')
  const regenerated = await regenerate(botMessage.id, { 'idempotency-key': 'k2' })
  const twin = await regenerate(botMessage.id, { 'idempotency-key': 'k2' })
  t.equal(twin.headers.get('idempotency-replayed'), 'true')
  t.same(twin.body, regenerated.body)
  t.match(await client.ask(`${path}/${botMessage.id}/regenerate`, { body: {}, headers: { 'idempotency-key': 'k1' } }), { status: 422 })
  t.equal((await branches()).length, 3)
  t.equal(sim.requests().length, 3)

  const { events } = await client.events(`${path}/${botMessage.id}/regenerate`, { method: 'POST' })
  const all = await allOf(events)
  t.equal(all[0]!.event, 'message.started')
  t.match(all[0]!.data, { userMessage: { id: userMessage.id } })
  t.equal(all.at(-1)!.event, 'message.completed')
  const accepted = await edit(userMessage.id, 'later', { prefer: 'respond-async' })
  t.match(accepted, { status: 202, body: { userMessage: { content: 'later' } } })
  await client.ask(`${path}?limit=1`)
  await sim.idle()
  t.match(await client.ask(`${path}/${botMessage.id}/regenerate?onBusy=queue`, { method: 'POST', headers: { prefer: 'respond-async' } }), { status: 202 })
  await client.ask(`${path}?limit=1`)
  await sim.idle()
  t.same(await checkLedger(await storeUri(), db.databaseName, { live: true }), [])
})

t.test('a regeneration that failed runs again with its key, and an edit that failed on its own branch', async (t) => {
  const { db, sim, client, session, send, edit, regenerate, branches } = await sessionWithSim()
  const { body: { userMessage, botMessage } } = await send('one')
  sim.script([refusal])
  const failed = await regenerate(botMessage.id, { 'idempotency-key': 'r' })
  t.equal(failed.status, 502)
  const again = await regenerate(botMessage.id, { 'idempotency-key': 'r' })
  t.match(again, { status: 200, body: { botMessage: { status: 'completed', replyTo: userMessage.id } } })
  const replay = await regenerate(botMessage.id, { 'idempotency-key': 'r' })
  t.same(replay.body, again.body)
  sim.script([refusal])
  t.equal((await edit(userMessage.id, 'other', { 'idempotency-key': 'e' })).status, 502)
  const count = (await branches()).length
  const rerun = await edit(userMessage.id, 'other', { 'idempotency-key': 'e' })
  t.match(rerun, { status: 200, body: { userMessage: { content: 'other' } } })
  t.equal((await branches()).length, count, 'no further branch')
  t.same((await edit(userMessage.id, 'other', { 'idempotency-key': 'e' })).body, rerun.body)
  sim.script([refusal])
  t.equal((await send('lost', { 'idempotency-key': 's' })).status, 502)
  await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { branchId: session } })
  t.match(await send('lost', { 'idempotency-key': 's' }), { status: 409, body: { code: 'conflict' } }, 'not on another branch')
  t.same(await checkLedger(await storeUri(), db.databaseName), [])
})

t.test('what cannot be edited, regenerated or spoken on is refused', async (t) => {
  const { client, session, send, edit, regenerate, path, clientFor, db } = await sessionWithSim()
  const { body: { userMessage, botMessage } } = await send('one')
  t.match(await edit(botMessage.id, 'x'), { status: 409, body: { code: 'conflict' } })
  const unknown = '0'.repeat(24)
  t.match(await edit(unknown, 'x'), { status: 404 })
  t.match(await regenerate(unknown), { status: 404 })
  t.match(await edit(userMessage.id, ' '), { status: 400 })
  t.match(await client.ask(`${path}?branch=${unknown}`), { status: 404 })
  t.match(await client.ask(`${path}?branch=x`), { status: 400 })
  t.match(await client.ask(`${path}/${unknown}/variants`), { status: 404 })
  t.match(await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { branchId: unknown } }), { status: 404 })
  const other = await clientFor('other', 'admin')
  for (const [method, url] of [
    ['PUT', `${path}/${userMessage.id}`], ['POST', `${path}/${botMessage.id}/regenerate`], ['GET', `/api/sessions/${session}/branches`],
    ['GET', `${path}/${botMessage.id}/variants`], ['DELETE', path], ['DELETE', `${path}/${botMessage.id}`],
    ['PUT', `${path}/${botMessage.id}/feedback`], ['DELETE', `${path}/${botMessage.id}/feedback`]
  ] as const) {
    const body = method === 'PUT' ? url.endsWith('feedback') ? { rating: 'up' } : { message: 'x' } : undefined
    t.equal((await other.ask(url, { method, ...(body && { body }) })).status, 404, `${method} ${url}`)
  }
  t.same((await other.ask('/api/feedback')).body, { data: [], nextCursor: null })
  await client.ask(`${path}/${userMessage.id}`, { method: 'DELETE' })
  t.match(await edit(userMessage.id, 'x'), { status: 409 })
  t.match(await regenerate(botMessage.id), { status: 409 })
  await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { status: 'ended' } })
  t.match(await regenerate(botMessage.id), { status: 409 })
  t.same(await checkLedger(await storeUri(), db.databaseName), [])
})

t.test('a busy session keeps its branch, and its turn is given back where a branch cannot begin', async (t) => {
  const clock = new StepClock()
  const { client, sim, db } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const { path, regenerate, branches } = talk(client, session)
  const { data, rest } = await begin(client, session, 'one two')
  t.match(await regenerate(data.userMessage.id), { status: 409, body: { code: 'session_busy' } })
  t.match(await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { branchId: session } }), { status: 409, body: { code: 'session_busy' } })
  const interrupting = client.ask(`${path}/${data.userMessage.id}?onBusy=interrupt`, { method: 'PUT', body: { message: 'three' } })
  clock.run()
  t.match(await interrupting, { status: 200, body: { userMessage: { content: 'three', parentId: null } } })
  await sim.idle()
  await rest
  t.equal((await branches()).length, 2)
  const known = await db.collection('sessions').findOne({})
  const more = Array.from({ length: 99 }, () => ({ ...(known!['branches'] as object[])[0], id: new ObjectId() }))
  await db.collection('sessions').updateOne({}, { $set: { branches: [...known!['branches'] as object[], ...more] } })
  t.match(await regenerate(data.userMessage.id), { status: 409, body: { code: 'conflict' } }, 'there is an end to it')
})

t.test('an erased message leaves its place and nothing else', async (t) => {
  const { client, sim, db, session, send, path } = await sessionWithSim()
  const { body: { userMessage } } = await client.ask<Exchange>(path, { body: { message: 'my secret', metadata: { secret: 1 } }, headers: { 'idempotency-key': 'k' } })
  const { body: { botMessage } } = await send('two')
  await client.ask(`${path}/${botMessage.id}/feedback`, { method: 'PUT', body: { rating: 'up', comment: 'a secret, too' } })
  for (const id of [userMessage.id, botMessage.id, botMessage.id]) t.equal((await client.ask(`${path}/${id}`, { method: 'DELETE' })).status, 204)
  const { body } = await client.ask<{ data: MessageView[] }>(path)
  t.same(body.data.map(({ seq, status }) => [seq, status]), [[1, 'deleted'], [2, 'completed'], [3, 'completed'], [4, 'deleted']])
  t.match(body.data[0], { content: '', metadata: undefined, role: 'user' })
  t.match(body.data[3], { content: '', feedback: undefined, replyTo: body.data[2]!.id })
  await send('three')
  t.same(promptOf(sim, 2).slice(1).map(({ content }) => content), [body.data[1]!.content, 'two', 'three'])
  t.match(await send('my secret', { 'idempotency-key': 'k' }), { status: 409, body: { code: 'conflict' } })
  t.match(await client.ask(`${path}/${botMessage.id}/feedback`, { method: 'PUT', body: { rating: 'up' } }), { status: 409 })
  t.same((await client.ask('/api/feedback')).body, { data: [], nextCursor: null })
  for (const collection of ['messages', 'changes', 'sessions']) {
    const stored = JSON.stringify(await db.collection(collection).find({ ...(collection === 'sessions' ? { _id: new ObjectId(session) } : { sessionId: new ObjectId(session) }) }).toArray())
    // The model repeats what it hears, and only what was erased is gone.
    t.notMatch(stored.replaceAll(body.data[1]!.content, ''), 'secret', collection)
  }
  t.same(await checkLedger(await storeUri(), db.databaseName), [])
})

t.test('a running reply is stopped before it is erased, and before a history is cleared', async (t) => {
  const clock = new StepClock()
  const { client, db, sim } = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const session = await client.converse()
  const { path, texts, send, branches, regenerate, read } = talk(client, session)
  const first = await begin(client, session, 'one two three')
  const { botMessage } = first.data
  t.equal((await client.ask(`${path}/${botMessage.id}`, { method: 'DELETE' })).status, 204)
  t.match((await client.ask(`${path}/${botMessage.id}`)).body, { status: 'deleted', content: '' })
  t.equal((await first.rest).at(-1)!.event, 'message.stopped')
  const { data: second, rest } = await begin(client, session, 'four five')
  t.equal((await client.ask(path, { method: 'DELETE' })).status, 204)
  t.same(await texts(), [])
  t.equal((await rest).at(-1)!.event, 'message.stopped')
  t.match(await read(), { messageCount: 0, branchId: session })
  t.match(await client.ask(`${path}/${second.botMessage.id}`), { status: 404 })
  t.match(await regenerate(second.botMessage.id), { status: 404 })
  t.equal((await client.ask(path, { method: 'DELETE' })).status, 204, 'twice is no mistake')
  clock.run()
  await sim.idle()
  const fresh = await send('six')
  t.match(fresh.body.userMessage, { seq: 5, parentId: null })
  t.equal(promptOf(sim, 2).length, 2)
  t.same(await branches(), [{ ...(await branches())[0], id: session, startSeq: 5, active: true }])
  t.same((await client.ask<{ data: MessageView[] }>(`${path}/${fresh.body.userMessage.id}/variants`)).body.data.length, 1)
  t.same(await checkLedger(await storeUri(), db.databaseName), [])
})

t.test('replies are rated, and the ratings are listed by configuration and time', async (t) => {
  const { client } = await sessionWithSim()
  const config = await client.createConfig()
  const rated: MessageView[] = []
  for (let i = 0; i < 3; i++) {
    const { path, send } = talk(client, await client.createSession(config, { userId: `u${i}` }))
    const { body: { botMessage, userMessage } } = await send('hello')
    const { status, body } = await client.ask(`${path}/${botMessage.id}/feedback`, {
      method: 'PUT', body: { rating: i === 1 ? 'down' : 'up', ...(i === 1 && { comment: 'Wrong.', tags: ['wrong'] }) }
    })
    t.equal(status, 200)
    rated.push(body as unknown as MessageView)
    t.match(await client.ask(`${path}/${userMessage.id}/feedback`, { method: 'PUT', body: { rating: 'up' } }), { status: 409 })
    t.match(await client.ask(`${path}/${botMessage.id}/feedback`, { method: 'PUT', body: { rating: 'meh' } }), { status: 400 })
  }
  t.match(rated[1]!.feedback, { rating: 'down', comment: 'Wrong.', tags: ['wrong'], at: /Z$/ })
  const list = async (query: string) => (await client.ask<{ data: Array<{ message: MessageView }>, nextCursor: string | null }>(`/api/feedback?configId=${config}${query}`)).body
  const ids = async (query: string) => (await list(query)).data.map(({ message }) => message.id)
  const all = rated.map(({ id }) => id).reverse()
  t.same(await ids(''), all)
  t.same(await ids('&rating=down'), [rated[1]!.id])
  t.same(await ids('&userId=u2'), [rated[2]!.id])
  const at = rated[1]!.feedback!.at
  t.same(await ids(`&from=${at}`), [rated[2]!.id, rated[1]!.id])
  t.same(await ids(`&to=${at}`), [rated[0]!.id])
  const page = await list('&limit=2')
  t.same(await ids(`&limit=2&cursor=${page.nextCursor}`), [rated[0]!.id])
  t.same(await ids(`&to=${at}&cursor=${page.nextCursor}`), [rated[0]!.id], 'the page and the range count, both')
  t.match(await client.ask('/api/feedback?from=yesterday'), { status: 400 })

  const { sessionId, id } = rated[2]!
  t.equal((await client.ask(`/api/sessions/${sessionId}/messages/${id}/feedback`, { method: 'DELETE' })).status, 204)
  t.same(await ids(''), all.slice(1))
  await client.ask(`/api/sessions/${rated[1]!.sessionId}`, { method: 'DELETE' })
  t.same(await ids('&limit=1'), [rated[0]!.id])
})

t.test('conversations of earlier versions know what follows what, and go on', async (t) => {
  const database = databaseName()
  const mongo = new MongoClient(await storeUri())
  t.teardown(async () => await mongo.close())
  const db = mongo.db(database)
  const [configId, sessionId] = [new ObjectId(), new ObjectId()]
  const ids = Array.from({ length: 1203 }, () => new ObjectId())
  const common = { tenantId: 'default', configId, userId: null, channel: null }
  const place = (seq: number) => ({ _id: ids[seq - 1]!, ...common, sessionId, seq, timestamp: new Date() })
  const ended = { usage: { promptTokens: 1, completionTokens: 1, totalTokens: 2 }, latency: { totalMs: 1 } }
  await db.collection('configs').insertOne({
    _id: configId,
    tenantId: 'default',
    name: 'Old',
    purpose: 'Help.',
    domain: [],
    tone: { style: '', language: 'en' },
    channels: [],
    integrations: [],
    instructions: '',
    model: {},
    historyLimit: 4,
    version: 1,
    createdAt: new Date(),
    updatedAt: new Date(),
    deletedAt: null
  })
  await db.collection('sessions').insertMany([sessionId, new ObjectId()].map((_id) => ({
    _id,
    ...common,
    title: null,
    metadata: {},
    status: 'active',
    startedAt: new Date(),
    lastActivity: new Date(),
    nextSeq: _id === sessionId ? ids.length + 1 : 1,
    turn: null
  })))
  // The first reply failed and was run again.
  await db.collection('messages').insertMany(ids.map((_, i) => {
    if (i === 1) return { ...place(2), role: 'bot', status: 'failed', content: '', replyTo: ids[0], error: { code: 'internal', detail: '' }, ...ended }
    if (i === 2) return { ...place(3), role: 'bot', status: 'completed', content: 'b', replyTo: ids[0], ...ended }
    return i % 2 === 1 || i === 0
      ? { ...place(i + 1), role: 'user', status: 'completed', content: `u${i}` }
      : { ...place(i + 1), role: 'bot', status: 'completed', content: `b${i}`, replyTo: ids[i - 1], ...ended }
  }))
  const { client } = await startApp(t, { MONGODB_DATABASE: database })
  t.same(await checkLedger(await storeUri(), database), [])
  const { send, texts, edit } = talk(client, sessionId.toHexString())
  t.match((await send('more')).body.userMessage, { seq: 1204, parentId: ids.at(-1)!.toHexString() })
  t.match((await edit(ids[3]!.toHexString(), 'instead')).body.userMessage, { parentId: ids[2]!.toHexString() })
  t.same((await texts()).slice(0, 4), ['u0', '> ', '> b', 'instead'])
  t.same(await checkLedger(await storeUri(), database), [])
  t.same((await db.collection('migrations').find().toArray()).map(({ _id }) => String(_id)), ['lines', 'api-key-ids'])
})
