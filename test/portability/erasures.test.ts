import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { EJSON } from 'bson'
import { ObjectId, type Db } from 'mongodb'
import t from 'tap'
import { isProblem, nobody } from '../edge.ts'
import { databaseName, startApp, type Client, type TestApp } from '../helper.ts'
import { leaveTurn } from '../replicas.ts'
import { startAppWithSim, StepClock } from '../sim.ts'

const shared = await startApp(t)

interface Receipt extends Record<string, unknown> {
  id: string
  status: string
  subject: string
  removed: { sessions: number, messages: number }
  completedAt: string | null
}

const erase = async (client: Client, user: string) => await client.ask<Receipt>(`/api/end-users/${encodeURIComponent(user)}`, { method: 'DELETE' })
const read = async (client: Client, id: string) => (await client.ask<Receipt>(`/api/erasures/${id}`)).body
const said = async (client: Client, session: string, message = 'My number is 0171.') =>
  await client.ask<{ botMessage: { id: string } }>(`/api/sessions/${session}/messages`, { body: { message } })

/** All that is stored, except the index of the search, which forgets in its own time. */
async function everything (db: Db): Promise<string> {
  const collections = (await db.collections()).filter(({ collectionName }) => !collectionName.startsWith('search'))
  return EJSON.stringify(await Promise.all(collections.map(async (collection) => await collection.find().toArray())))
}

/** Has the erasures done and gives the receipt. */
async function completed ({ app, client }: TestApp, id: string): Promise<Receipt> {
  await app.erasures.resume()
  return await read(client, id)
}

t.test('an end user is erased: at once for every reader, then for good, and the receipt counts', async (t) => {
  const started = await startApp(t)
  const { client, db } = started
  const config = await client.createConfig()
  const headers = { 'idempotency-key': 'opens-a-session' }
  const input = { configId: config, userId: 'anna@example.org', title: 'Anna writes', metadata: { phone: '0171' } }
  const { body: { id: first } } = await client.ask<{ id: string }>('/api/sessions', { body: input, headers })
  const second = await client.createSession(config, { userId: 'anna@example.org' })
  const kept = await client.createSession(config, { userId: 'berta' })
  const { body: { botMessage } } = await said(client, first)
  await said(client, second)
  await said(client, second)
  await said(client, kept, 'Something else.')
  const rated = `/api/sessions/${first}/messages/${botMessage.id}/feedback`
  await client.ask(rated, { method: 'PUT', body: { rating: 'down', comment: 'I am Anna and not amused.' } })

  const answer = await erase(client, 'anna@example.org')
  t.equal(answer.status, 202)
  t.equal(answer.headers.get('location'), `/api/erasures/${answer.body.id}`)
  for (const id of [first, second]) {
    isProblem(t, await client.ask(`/api/sessions/${id}`), 'not_found')
    isProblem(t, await client.ask(`/api/sessions/${id}/messages`), 'not_found')
    isProblem(t, await said(client, id), 'not_found')
  }
  isProblem(t, await client.ask(`/api/sessions/${first}/messages/${botMessage.id}`), 'not_found')
  t.strictSame((await client.ask('/api/sessions?userId=anna@example.org')).body['data'], [])
  t.strictSame((await client.ask('/api/feedback')).body['data'], [])

  const receipt = await completed(started, answer.body.id)
  t.match(receipt, {
    status: 'completed',
    removed: { sessions: 2, messages: 6 },
    subject: createHash('sha256').update('["default","anna@example.org"]').digest('hex'),
    completedAt: /Z$/
  })
  t.notMatch(await everything(db), /anna|0171|not amused/i, 'nothing is stored any more that is hers or names her')
  const anew = await client.ask('/api/sessions', { body: input, headers })
  t.equal(anew.headers.get('idempotency-replayed'), null, 'the answer that named her is not repeated')
  t.equal((await client.ask(`/api/sessions/${kept}`)).body['messageCount'], 2, 'nobody else is touched')
})

t.test('a user who is not known has a completed receipt of nothing, whatever they are called', async (t) => {
  const { client } = shared
  for (const user of ['nobody', '$where', '../../x', 'a b', '😀'.repeat(200), '/'.repeat(200), '%']) {
    const { status, body } = await erase(client, user)
    t.match({ status, body }, { status: 202, body: { status: 'completed', removed: { sessions: 0, messages: 0 } } }, user.slice(0, 10))
    t.strictSame(await read(client, body.id), body)
  }
  for (const user of ['a\0b', ' ', 'a'.repeat(201)]) t.match((await erase(client, user)).status, /400|404/, JSON.stringify(user.slice(0, 5)))
})

t.test('receipts are listed, the newest first, for their own tenant', async (t) => {
  const { clientFor } = shared
  const client = await clientFor('listing', 'admin')
  const { body: one } = await erase(client, 'one')
  const { body: two } = await erase(client, 'two')
  t.strictSame((await client.ask<{ data: Receipt[] }>('/api/erasures')).body.data.map(({ id }) => id), [two.id, one.id])
  const page = await client.ask<{ data: Receipt[], nextCursor: string }>('/api/erasures?limit=1')
  t.strictSame((await client.ask<{ data: Receipt[] }>(`/api/erasures?cursor=${page.body.nextCursor}`)).body.data.map(({ id }) => id), [one.id])
  const stranger = await clientFor('elsewhere', 'admin')
  isProblem(t, await stranger.ask(`/api/erasures/${one.id}`), 'not_found')
  isProblem(t, await client.ask(`/api/erasures/${nobody}`), 'not_found')
  t.strictSame((await stranger.ask('/api/erasures')).body['data'], [])
  for (const scopes of [['chat'], ['sessions:read'], ['configs:write']] as const) {
    isProblem(t, await erase(await clientFor('listing', ...scopes), 'x'), 'forbidden', scopes[0])
  }
})

t.test('of two tenants\' users of one name, one is erased', async (t) => {
  const { app, clientFor } = shared
  const [client, stranger] = [await clientFor('one', 'admin'), await clientFor('other', 'admin')]
  const [here, there] = [await client.converse(), await stranger.createSession(await stranger.createConfig(), { userId: 'same' })]
  await client.createSession((await client.ask<{ configId: string }>(`/api/sessions/${here}`)).body.configId, { userId: 'same' })
  await erase(client, 'same')
  await app.erasures.resume()
  t.equal((await stranger.ask(`/api/sessions/${there}`)).status, 200)
  t.equal((await client.ask<{ data: unknown[] }>('/api/sessions')).body.data.length, 1, 'a session of nobody stays')
})

t.test('a running reply is aborted, and what it had written is counted', async (t) => {
  const clock = new StepClock()
  const started = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const { client, app, sim } = started
  const session = await client.createSession(await client.createConfig(), { userId: 'anna' })
  const { events } = await client.events(`/api/sessions/${session}/messages`, { body: { message: 'one two three' } })
  const reading = Array.fromAsync(events)
  while (sim.requests().length === 0) await setImmediate()
  const { body } = await erase(client, 'anna')
  t.match(body, { status: 'running', removed: { sessions: 0, messages: 0 }, completedAt: null })
  t.match((await reading).at(-1)!.event, /message\.(stopped|interrupted)/)
  await app.erasures.resume()
  t.match(await read(client, body.id), { status: 'completed', removed: { sessions: 1, messages: 2 } })
})

t.test('asked for again while it runs, it is the same erasure, and takes in what was said since', async (t) => {
  const started = await startApp(t)
  const { client, db } = started
  const { session } = await leaveTurn(started, { messages: 2 })
  const mine = { _id: new ObjectId(session) }
  const inAnHour = new Date(Date.now() + 3_600_000)
  await db.collection('sessions').updateOne(mine, { $set: { userId: 'anna', 'turn.leaseUntil': inAnHour } })
  const { body: first } = await erase(client, 'anna')
  t.equal(first.status, 'running', 'a turn that another process holds is waited for')
  const late = await client.createSession(await client.createConfig(), { userId: 'anna' })
  await said(client, late)
  const { body: again } = await erase(client, 'anna')
  t.equal(again.id, first.id)
  isProblem(t, await client.ask(`/api/sessions/${late}`), 'not_found')
  await db.collection('sessions').updateOne(mine, { $set: { turn: null } })
  t.match(await completed(started, first.id), { status: 'completed', removed: { sessions: 2, messages: 4 } })
  const { body: third } = await erase(client, 'anna')
  t.not(third.id, first.id, 'a completed one is not taken up again')
  t.match(third, { status: 'completed', removed: { sessions: 0 } })
})

t.test('many sessions are erased by two replicas at once, and each is counted once', async (t) => {
  const MONGODB_DATABASE = databaseName()
  const first = await startApp(t, { MONGODB_DATABASE })
  const second = await startApp(t, { MONGODB_DATABASE, BOOTSTRAP_API_KEY: first.adminKey })
  const { db, client } = first
  const config = new ObjectId(await client.createConfig())
  const common = { tenantId: 'default', configId: config, userId: 'anna', channel: null }
  const sessions = Array.from({ length: 250 }, () => ({
    _id: new ObjectId(), ...common, title: null, metadata: {}, status: 'active', startedAt: new Date(), lastActivity: new Date(), nextSeq: 4, rev: 3, turn: null
  }))
  await db.collection('sessions').insertMany(sessions)
  await db.collection('messages').insertMany(sessions.flatMap(({ _id }) => [1, 2, 3].map((seq) => ({
    ...common, sessionId: _id, seq, rev: seq, parentId: null, role: 'user', content: 'said', timestamp: new Date(), status: 'completed'
  }))))
  const [one, two] = await Promise.all([erase(client, 'anna'), erase(second.client, 'anna')])
  t.equal(one.body.id, two.body.id)
  await Promise.all([first.app.erasures.resume(), second.app.erasures.resume()])
  t.match(await read(client, one.body.id), { status: 'completed', removed: { sessions: 250, messages: 750 } })
  t.equal(await db.collection('messages').countDocuments({}), 0)
})

t.test('who has not seen the last step of an erasure does not go on with it', async (t) => {
  const { erasures } = shared.app.store
  const person = { tenantId: 'default', userId: 'carla' }
  const [seen, asked] = [await erasures.begin(person, 'carla', new Date()), await erasures.begin(person, 'carla', new Date())]
  t.equal(asked.id, seen.id)
  t.equal(await erasures.advance(seen, { status: 'completed' }), undefined)
  t.match(await erasures.advance(asked, { status: 'completed', userId: null }), { status: 'completed' })
})

t.test('what was deleted just before is waited for, and is not counted', async (t) => {
  const { app, client, db } = shared
  const config = await client.createConfig()
  const [kept, gone] = [await client.createSession(config, { userId: 'anna' }), await client.createSession(config, { userId: 'anna' })]
  await said(client, kept)
  await db.collection('sessions').updateOne({ _id: new ObjectId(gone) }, { $set: { status: 'deleted', lastActivity: null } })
  const { body } = await erase(client, 'anna')
  const resumed = app.erasures.resume()
  while ((await read(client, body.id)).removed.sessions === 0) await setImmediate()
  t.equal((await read(client, body.id)).status, 'running')
  await app.chat.purge()
  await resumed
  t.match(await read(client, body.id), { status: 'completed', removed: { sessions: 1, messages: 2 } })
})

t.test('sessions that were hidden for an erasure which is over are removed all the same', async (t) => {
  const { app, client, db } = shared
  const session = await client.createSession(await client.createConfig(), { userId: 'anna' })
  const hidden = { _id: new ObjectId(session) }
  await db.collection('sessions').updateOne(hidden, { $set: { status: 'deleted', lastActivity: null, erasing: true } })
  await app.chat.purge()
  t.equal(await db.collection('sessions').countDocuments(hidden), 1, 'an erasure is to count them')
  await app.erasures.resume()
  await app.chat.purge()
  t.equal(await db.collection('sessions').countDocuments(hidden), 0)
})
