import { type CommandStartedEvent, ObjectId, type Document } from 'mongodb'
import t from 'tap'
import { type Message } from '../../schemas/message.ts'
import { type Retention } from '../../schemas/retention.ts'
import { isProblem } from '../edge.ts'
import { FeedReader } from '../feeds.ts'
import { type Client, startApp, storeUri } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { age, DAY_MS } from './aged.ts'

const { app, client, db, adminKey, clientFor } = await startApp(t)

interface Exchange { userMessage: Message, botMessage: Message }

const keep = async (rules: Partial<Retention>, who = client) => {
  const body = { sessionsDays: null, messagesDays: null, deliveryLogsDays: 30, ...rules }
  t.strictSame((await who.ask('/api/retention', { method: 'PUT', body })).body, body)
}
const say = async (session: string, message: string, who = client) =>
  (await who.ask<Exchange>(`/api/sessions/${session}/messages`, { body: { message } })).body
const seqs = async (session: string, query = '') =>
  (await client.ask<{ data: Message[] }>(`/api/sessions/${session}/messages${query}`)).body.data.map(({ seq }) => seq)
const statusOf = async (session: string, who: Client = client) => (await who.ask(`/api/sessions/${session}`)).status
const ledger = async () => await checkLedger(await storeUri(), db.databaseName)
const removed = async (kind: string) => {
  const { values } = await app.metrics.getSingleMetric('retention_removed_total')!.get()
  return values.find(({ labels }) => labels['kind'] === kind)!.value
}

t.test('a tenant says for how long it keeps what', async (t) => {
  const { ask } = { ask: async (body: unknown) => await client.ask('/api/retention', { method: 'PUT', body }) }
  t.strictSame((await client.ask('/api/retention')).body, { sessionsDays: null, messagesDays: null, deliveryLogsDays: 30 })
  const rules = { sessionsDays: 365, messagesDays: 90, deliveryLogsDays: 14 }
  for (const wrong of [{}, { ...rules, sessionsDays: 0 }, { ...rules, messagesDays: 1.5 }, { ...rules, sessionsDays: 36_501 }, { ...rules, deliveryLogsDays: null },
    { ...rules, deliveryLogsDays: 366 }, { ...rules, messagesDays: '90' }, { ...rules, auditDays: 1 }, { sessionsDays: 1 }]) {
    isProblem(t, await ask(wrong), 'validation_failed', JSON.stringify(wrong))
  }
  await keep(rules)
  t.strictSame((await client.ask('/api/retention')).body, rules)
  const { body } = await client.ask<{ data: unknown[] }>('/api/audit?action=retention.updated')
  t.match(body.data[0], { before: { sessionsDays: null, messagesDays: null, deliveryLogsDays: 30 }, after: rules, target: { type: 'retention' } })
  const stranger = await clientFor('elsewhere', 'admin')
  t.match((await stranger.ask('/api/retention')).body, { sessionsDays: null })
  for (const method of ['GET', 'PUT']) {
    isProblem(t, await (await clientFor('default', 'sessions:write', 'configs:write')).ask('/api/retention', { method, ...(method === 'PUT' && { body: rules }) }), 'forbidden')
  }
})

t.test('sessions go that nobody has spoken in for long, with all that belongs to them', async (t) => {
  await keep({ sessionsDays: 30 })
  const config = await client.createConfig()
  const [young, old, ended, busy, reopened] = await Promise.all(Array.from({ length: 5 }, async () => await client.createSession(config, { userId: 'anna' })))
  for (const session of [young, old, ended, busy, reopened]) await say(session!, 'My name is Anna.')
  await client.ask(`/api/sessions/${ended}`, { method: 'PATCH', body: { status: 'ended' } })
  const stranger = await clientFor('keeps-all', 'admin')
  const theirs = await stranger.converse()
  await say(theirs, 'Hello', stranger)
  await age(db, young!, 29)
  for (const session of [old, ended, busy, reopened, theirs]) await age(db, session!, 31)
  const turn = { messageId: new ObjectId(), seq: 9, rev: 9, parentId: null, leaseUntil: new Date(Date.now() + DAY_MS), idempotencyKey: null, lapsed: false }
  await db.collection('sessions').updateOne({ _id: new ObjectId(busy) }, { $set: { turn } })
  await say(reopened!, 'Still there?')
  await app.usageLedger.flush()
  const [events, before] = [await db.collection('usageEvents').countDocuments(), await removed('sessions')]
  const reader = await FeedReader.open(t, client, '/api/events')
  t.equal(await app.retention.run(), true)
  t.strictSame(await Promise.all([young, busy, reopened].map(async (id) => await statusOf(id!))), [200, 200, 200])
  t.strictSame(await Promise.all([old, ended].map(async (id) => await statusOf(id!))), [404, 404])
  t.equal(await statusOf(theirs, stranger), 200, 'of another tenant')
  const gone = { $in: [old, ended].map((id) => new ObjectId(id)) }
  for (const name of ['messages', 'sessions']) t.equal(await db.collection(name).countDocuments({ [name === 'sessions' ? '_id' : 'sessionId']: gone }), 0, name)
  t.equal(await removed('sessions') - before, 2)
  t.equal(await db.collection('usageEvents').countDocuments(), events, 'what models took stays')
  const told = await reader.until(({ event, data }) => event === 'session.deleted' && data['sessionId'] === ended)
  t.ok(told.length > 0, 'who follows is told')
  reader.leave()
  await db.collection('sessions').updateOne({ _id: new ObjectId(busy) }, { $set: { turn: null } })
  t.strictSame(await ledger(), [])
  await client.ask(`/api/configs/${config}`, { method: 'DELETE' })
  t.ok((await app.metrics.metrics()).includes('job_last_run_timestamp_seconds{work="retention"}'))
})

t.test('old messages go out of a session that goes on', async (t) => {
  await keep({ messagesDays: 30 })
  const session = await client.createSession(await client.createConfig(), { title: 'A case' })
  const first = await say(session, 'I am zanzibar.')
  await say(session, 'Again.')
  await client.ask(`/api/sessions/${session}/messages/${first.botMessage.id}/feedback`, { method: 'PUT', body: { rating: 'down', comment: 'zanzibar too' } })
  const third = await say(session, 'Something new.')
  await client.ask(`/api/sessions/${session}/messages/${third.botMessage.id}/feedback`, { method: 'PUT', body: { rating: 'up', comment: 'fine' } })
  t.equal((await client.ask(`/api/sessions/${session}/summary`, { method: 'POST' })).status, 200)
  const feed = `/api/sessions/${session}/events`
  const reader = await FeedReader.open(t, client, feed, `${session}:0:0:end`)
  const begun = await reader.untilEvent('message.completed')
  reader.leave()
  await age(db, session, 31, 4)
  const before = await removed('messages')
  await app.retention.run()
  t.equal(await removed('messages') - before, 4)
  t.strictSame([await seqs(session), await seqs(session, '?after=0')], [[5, 6], [5, 6]])
  isProblem(t, await client.ask(`/api/sessions/${session}/messages/${first.botMessage.id}`), 'not_found')
  t.match((await client.ask(`/api/sessions/${session}`)).body, { messageCount: 2, title: 'A case' })
  isProblem(t, await client.ask(`/api/sessions/${session}/summary`), 'not_found', 'it was made of what is gone')
  t.strictSame((await client.ask('/api/messages/search?q=zanzibar')).body['data'], [])
  t.match((await client.ask(`/api/sessions/${session}/messages/${third.userMessage.id}`)).body, { parentId: null })
  t.match((await client.ask<{ data: unknown[] }>(`/api/sessions/${session}/messages/${third.userMessage.id}/variants`)).body.data, [{ id: third.userMessage.id }])

  const later = await FeedReader.open(t, client, feed, begun.at(-1)!.id)
  const events = await later.untilEvent('session.cleared')
  later.leave()
  t.strictSame(events.filter(({ event }) => event === 'message.started').map(({ data }) => (data['userMessage'] as Message).seq), [5], 'who comes back with an old position')
  t.strictSame(events.filter(({ event }) => event === 'message.feedback').map(({ data }) => (data['feedback'] as { comment: string } | null)?.comment), [undefined, 'fine'])
  t.match(events.at(-1), { event: 'session.cleared', data: { sessionId: session, throughSeq: 4, heads: undefined } })
  t.notMatch(JSON.stringify(await Promise.all(['messages', 'changes', 'sessions'].map(async (name) => await db.collection(name).find().toArray()))), /zanzibar/)

  t.match(await say(session, 'And on.'), { userMessage: { seq: 7, parentId: third.botMessage.id } })
  t.strictSame(await ledger(), [])
  await age(db, session, 31, 8)
  await app.retention.run()
  t.strictSame(await seqs(session), [], 'all of it')
  t.match(await say(session, 'Anew.'), { userMessage: { seq: 9, parentId: null } })
  t.strictSame(await ledger(), [])
})

t.test('a reply stays with what it answers, and a session that replies is left alone', async (t) => {
  await keep({ messagesDays: 30 })
  const session = await client.converse()
  await say(session, 'One.')
  await say(session, 'Two.')
  await age(db, session, 31, 3)
  const turn = { messageId: new ObjectId(), seq: 9, rev: 9, parentId: null, leaseUntil: new Date(Date.now() + DAY_MS), idempotencyKey: null, lapsed: false }
  const _id = new ObjectId(session)
  await db.collection('sessions').updateOne({ _id }, { $set: { turn } })
  await app.retention.run()
  t.strictSame(await seqs(session), [1, 2, 3, 4])
  await db.collection('sessions').updateOne({ _id }, { $set: { turn: null } })
  await app.retention.run()
  t.strictSame(await seqs(session), [3, 4])
  await app.retention.run()
  t.strictSame(await seqs(session), [3, 4], 'also when it comes again')
  t.strictSame(await ledger(), [])
})

t.test('branches begin where they still have messages, and go where they have none', async (t) => {
  await keep({ messagesDays: 30 })
  const session = await client.converse()
  const path = `/api/sessions/${session}/messages`
  const branches = async () => (await client.ask<{ data: Array<{ id: string, parentId: string | null, startSeq: number }> }>(`/api/sessions/${session}/branches`)).body.data
  const one = await say(session, 'One.') // 1, 2
  const again = async (key?: string) => (await client.ask<Exchange>(`${path}/${one.botMessage.id}/regenerate`, { method: 'POST', headers: key === undefined ? {} : { 'idempotency-key': key } }))
  await again() // 3, a branch
  const edited = await client.ask<Exchange>(`${path}/${one.userMessage.id}`, { method: 'PUT', body: { message: 'Uno.' } }) // 4, 5, another
  const due = await say(session, 'Due.') // 6, 7 on that
  await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { branchId: session } })
  await say(session, 'Two.') // 8, 9 on the first
  const { body: { botMessage: late } } = await again('k') // 10, a third
  await client.ask(`${path}/${edited.body.botMessage.id}/regenerate`, { method: 'POST' }) // 11, within the second
  await client.ask(`${path}/${due.botMessage.id}/regenerate`, { method: 'POST' }) // 12, behind 6
  t.equal((await branches()).length, 6)
  t.strictSame(await ledger(), [])
  await age(db, session, 31, 5)
  await app.retention.run()
  t.strictSame(await ledger(), [])
  t.strictSame((await branches()).map(({ startSeq, parentId }) => [startSeq, parentId]), [[6, null], [6, null], [10, null], [11, null], [12, due.userMessage.id]])
  t.strictSame(await seqs(session), [6, 12])
  t.strictSame(await seqs(session, `?branch=${session}`), [8, 9])
  t.match((await client.ask(`${path}/${late.id}`)).body, { parentId: null, replyTo: undefined })
  isProblem(t, await client.ask(`${path}/${late.id}/regenerate`, { method: 'POST' }), 'conflict', 'what it answered is gone')
  isProblem(t, await again('k'), 'not_found', 'named by what is gone')
  await age(db, session, 31, 9)
  await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { branchId: late.branchId } })
  await app.retention.run()
  t.strictSame(await seqs(session, `?branch=${session}`), [])
  t.strictSame([await seqs(session), (await branches()).length], [[10], 4])
  t.strictSame(await ledger(), [])
  await age(db, session, 31, 10)
  await app.retention.run()
  t.match((await client.ask(`/api/sessions/${session}`)).body, { branchId: session }, 'the branch that was spoken on is gone')
  t.match(await say(session, 'Three.'), { userMessage: { seq: 13, parentId: null } })
  t.strictSame(await ledger(), [])
})

t.test('the logs of deliveries go when they are over and old enough', async (t) => {
  await keep({ deliveryLogsDays: 2 })
  const insert = async (tenantId: string, days: number, isOver = true) => {
    const [_id, createdAt] = [new ObjectId(), new Date(Date.now() - days * DAY_MS)]
    // Not due for whoever sends them here.
    const job = { group: `${tenantId}/x`, dueAt: new Date(Date.now() + DAY_MS), lease: null }
    await db.collection('webhookDeliveries').insertOne({
      _id, tenantId, endpointId: new ObjectId(), eventId: _id.toHexString(), about: [], createdAt, status: isOver ? 'failed' : 'pending', ...(!isOver && { job })
    })
    return _id.toHexString()
  }
  const [, young, waiting] = [await insert('default', 3), await insert('default', 1), await insert('default', 3, false)]
  const [theirs] = [await insert('others', 29), await insert('others', 31)]
  const before = await removed('delivery_logs')
  await app.retention.run()
  const left = await db.collection('webhookDeliveries').find({ tenantId: { $in: ['default', 'others'] } }).toArray()
  t.strictSame(left.map(({ _id }) => _id.toHexString()).sort(), [young, waiting, theirs].sort())
  t.equal(await removed('delivery_logs') - before, 2)
  const indexes = await db.collection('webhookDeliveries').indexes()
  t.notOk(indexes.some(({ expireAfterSeconds }) => expireAfterSeconds !== undefined), 'the store removes none by itself')
})

const ofServer = process.env['MONGODB_URI'] !== undefined && 'a server plans for itself'

t.test('a run looks at nothing but what is due, and never reads a whole collection', { skip: ofServer }, async (t) => {
  await keep({ sessionsDays: 60, messagesDays: 30, deliveryLogsDays: 1 })
  const config = await client.createConfig()
  const [old, aged] = [await client.createSession(config, { userId: 'anna' }), await client.createSession(config)]
  for (const session of [old, aged]) await say(session, 'Hello')
  await say(aged, 'Hello')
  await age(db, old, 61)
  await age(db, aged, 31, 2)
  const commands: Document[] = []
  const listen = ({ commandName, command }: CommandStartedEvent) => {
    if (['find', 'update', 'delete', 'findAndModify'].includes(commandName)) commands.push(command)
  }
  app.mongo.client.on('commandStarted', listen)
  await app.retention.run()
  await client.ask('/api/legal-holds', { body: { scope: 'user', userId: 'nobody', reason: 'x' } })
  app.mongo.client.off('commandStarted', listen)
  const mine = /^(sessions|messages|changes|webhookDeliveries|legalHolds|retentionSettings)$/
  const wrong: unknown[] = []
  let looked = 0
  for (const sent of commands) {
    const command = Object.fromEntries(Object.entries(sent).filter(([name]) => !/^(lsid|txnNumber|\$.*)$/.test(name)))
    const [[verb, name]] = Object.entries(command) as [[string, unknown]]
    // Only one write of a command can be explained, and the others are like it.
    for (const list of ['updates', 'deletes']) if (list in command) command[list] = (command[list] as unknown[]).slice(0, 1)
    if (!mine.test(String(name)) || (command['updates'] as unknown[] | undefined)?.length === 0) continue
    const { queryPlanner } = await db.command({ explain: command, verbosity: 'queryPlanner' })
    looked++
    if (JSON.stringify(queryPlanner).includes('COLLSCAN')) wrong.push(verb, command)
  }
  t.ok(looked > 20)
  t.strictSame(wrong, [])
})

t.test('of two replicas one does it; closed in the middle, the other goes on', async (t) => {
  await keep({ sessionsDays: 30 })
  const now = app.store.now.bind(app.store)
  app.store.now = async () => { throw new Error('away') }
  await t.rejects(app.retention.run(), { message: 'away' })
  app.store.now = now
  t.equal(await app.retention.run(), true, 'the next one does it')
  const other = await startApp(t, { MONGODB_DATABASE: db.databaseName, BOOTSTRAP_API_KEY: adminKey })
  t.equal(await other.app.retention.run(), false, 'the first one has looked a moment ago')
  const config = await client.createConfig()
  const first = await client.createSession(config)
  await age(db, first, 31)
  const sessions = db.collection('sessions')
  const { _id, ...like } = (await sessions.findOne({ _id: new ObjectId(first) }))!
  await sessions.insertMany(Array.from({ length: 120 }, () => ({ ...like })))
  const left = async () => await sessions.countDocuments({ configId: new ObjectId(config) })
  const { outdated } = app.store
  const hide = outdated.hide.bind(outdated)
  outdated.hide = async (...of) => {
    const count = await hide(...of)
    void app.retention.close()
    return count
  }
  t.equal(await app.retention.run(), false)
  await app.chat.purge()
  t.ok(await left() > 0)
  while (!await other.app.retention.run()) { /* the lease is being given back */ }
  t.equal(await left(), 0)
  t.equal(await app.retention.run(), false, 'closed')
})

t.test('the store does not remove deliveries by itself, as it did once', async (t) => {
  const deliveries = db.collection('webhookDeliveries')
  await deliveries.createIndex({ createdAt: 1 }, { expireAfterSeconds: 30 * 86_400 })
  await app.store.webhookDeliveries.createIndexes()
  t.notMatch(JSON.stringify(await deliveries.indexes()), 'expireAfterSeconds')
  await app.store.webhookDeliveries.createIndexes()
})
