import { MongoNetworkError, ObjectId } from 'mongodb'
import t from 'tap'
import { bearer, isProblem, JWT_SECRET, type ConfigView, type SessionView } from '../edge.ts'
import { startApp, type Answer } from '../helper.ts'

const { app, client, clientFor, db } = await startApp(t, { JWT_SECRET })
const records = db.collection('idempotencyRecords')

const create = async <T = ConfigView>(key: string, body: unknown = { purpose: 'Help.' }, { as = client, path = '/api/configs' } = {}) =>
  await as.ask<T>(path, { body, headers: { 'idempotency-key': key } })

const told = ({ status, headers, body }: Answer<unknown>) =>
  ({ status, location: headers.get('location'), etag: headers.get('etag'), type: headers.get('content-type'), body })

const isReplay = ({ headers }: Answer<unknown>) => headers.get('idempotency-replayed') === 'true'

t.test('a repeat gets the first answer again, to the letter', async (t) => {
  const configId = await client.createConfig()
  for (const [path, collection, body] of [
    ['/api/configs', 'configs', { purpose: 'Help.', model: { temperature: 0.5 } }],
    ['/api/sessions', 'sessions', { configId, metadata: { a: { b: 1, c: 2 } }, title: 'Ünïcode 🚤' }]
  ] as const) {
    const before = await db.collection(collection).countDocuments()
    const first = await create('to-the-letter', body, { path })
    t.equal(first.status, 201)
    t.notOk(isReplay(first))
    await client.ask(`${path}/${first.body.id}`, { method: 'PATCH', body: path === '/api/configs' ? { name: 'Other' } : { title: 'Other' } })
    const second = await create('to-the-letter', body, { path })
    t.strictSame(told(second), told(first), path)
    t.ok(isReplay(second))
    t.equal((await client.ask(`${path}/${first.body.id}`, { method: 'DELETE' })).status, 204)
    await app.chat.purge()
    const third = await create('to-the-letter', Object.fromEntries(Object.entries(body).reverse()), { path })
    t.strictSame(told(third), told(first), 'also when it is deleted, and whatever the order of the members')
    t.equal(await db.collection(collection).countDocuments(), before)
  }
})

t.test('the same key with another body is refused', async (t) => {
  t.equal((await create('other-body')).status, 201)
  for (const other of [{ purpose: 'Help!' }, { purpose: 'Help.', name: 'Help.' }]) {
    isProblem(t, await create('other-body', other), 'idempotency_conflict')
  }
  t.ok(isReplay(await create('other-body')))
})

t.test('a key is bound to its tenant, user and operation', async (t) => {
  const configId = await client.createConfig()
  const callers = [
    client, await clientFor('other', 'admin'), bearer(client, { sub: 'a', scope: 'admin' }), bearer(client, { sub: 'b', scope: 'admin' }),
    bearer(client, { sub: 'a', scope: 'admin', tid: 'other' })
  ]
  const made = await Promise.all(callers.map(async (as) => await create('bound', { purpose: 'Help.' }, { as })))
  t.same(made.map(({ status }) => status), [201, 201, 201, 201, 201])
  t.equal(new Set(made.map(({ body }) => body.id)).size, callers.length)
  t.notOk(made.some(isReplay))
  const session = await create<SessionView>('bound', { configId }, { path: '/api/sessions' })
  t.match(session, { status: 201, body: { configId } })
  t.notOk(isReplay(session))
})

t.test('identical requests at once make one thing and get one answer', async (t) => {
  const configId = await client.createConfig()
  for (const [path, body] of [['/api/configs', { purpose: 'Once.' }], ['/api/sessions', { configId, userId: 'once' }]] as const) {
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await create('at-once', body, { path })))
    t.equal(answers[0]!.status, 201)
    for (const answer of answers) t.strictSame(told(answer), told(answers[0]!))
    t.equal(answers.filter(isReplay).length, 19)
  }
  t.equal(await db.collection('configs').countDocuments({ purpose: 'Once.' }), 1)
  t.equal(await db.collection('sessions').countDocuments({ userId: 'once' }), 1)
})

t.test('what a crash left behind is taken up, however far it had come', async (t) => {
  const configId = await client.createConfig()
  for (const [path, collection, body] of [
    ['/api/configs', 'configs', { purpose: 'Crash.' }], ['/api/sessions', 'sessions', { configId, title: 'Crash.' }]
  ] as const) {
    const first = await create('crashed', body, { path })
    const wiped = { $set: { answer: null } }
    await records.updateMany({ 'answer.body': { $regex: first.body.id } }, wiped)
    const found = await create('crashed', body, { path })
    t.strictSame(told(found), told(first), 'it was created, and not answered')
    t.ok(isReplay(found))

    await records.updateMany({ 'answer.body': { $regex: first.body.id } }, wiped)
    await db.collection(collection).deleteOne({ _id: new ObjectId(first.body.id) })
    const again = await create('crashed', body, { path })
    t.match(again, { status: 201, body: { id: first.body.id } }, 'it was about to be created')

    await records.updateMany({ 'answer.body': { $regex: first.body.id } }, wiped)
    await db.collection(collection).updateOne({ _id: new ObjectId(first.body.id) }, { $set: { status: 'deleted', deletedAt: new Date() } })
    isProblem(t, await create('crashed', body, { path }), 'not_found', 'somebody else has deleted it since')
  }
})

t.test('a request that is refused binds its key to nothing', async (t) => {
  const before = await records.countDocuments()
  isProblem(t, await create('refused', { name: 'No purpose' }), 'validation_failed')
  isProblem(t, await create('refused', '{"purpose"'), 'malformed_json')
  isProblem(t, await create('refused', { purpose: 'x' }, { as: client.with({}) }), 'unauthenticated')
  isProblem(t, await create('refused', { purpose: 'x' }, { as: await clientFor('default', 'configs:read') }), 'forbidden')
  t.equal(await records.countDocuments(), before, 'nor does it cost anything')

  const [configId, strict] = [await client.createConfig(), await client.createConfig({ channels: ['web'] })]
  const path = '/api/sessions'
  const refused = await create('refused', { configId: strict, channel: 'fax' }, { path })
  isProblem(t, refused, 'validation_failed')
  t.notOk(isReplay(refused))
  isProblem(t, await create('refused', { configId: 'f'.repeat(24) }, { path }), 'not_found')
  const [right, twin] = await Promise.all([create('refused', { configId }, { path }), create('refused', { configId }, { path })])
  t.match([right, twin], [{ status: 201 }, { status: 201, body: { id: right.body.id } }], 'another body is taken')
  isProblem(t, await create('refused', { configId: strict, channel: 'fax' }, { path }), 'idempotency_conflict')
})

t.test('a request that was refused can be repeated, and then succeed', async (t) => {
  const configId = await client.createConfig({ channels: ['web'] })
  const send = async () => await create<SessionView>('second-try', { configId, channel: 'email' }, { path: '/api/sessions' })
  isProblem(t, await send(), 'validation_failed')
  await client.ask(`/api/configs/${configId}`, { method: 'PATCH', body: { channels: [] } })
  const second = await send()
  t.equal(second.status, 201)
  t.notOk(isReplay(second))
  t.strictSame(told(await send()), told(second))
})

t.test('a key is 1 to 255 visible ASCII characters', async (t) => {
  for (const key of ['!', '~'.repeat(255), '{"$ne":1}', '__proto__', '$where']) {
    t.equal((await create(key)).status, 201, key.slice(0, 20))
    t.ok(isReplay(await create(key)))
  }
  for (const key of ['', 'a b', 'a\tb', 'é', 'x'.repeat(256)]) isProblem(t, await create(key), 'validation_failed', key.slice(0, 20))
})

t.test('an answer that cannot be kept is given all the same, and found again', async (t) => {
  const keep = app.store.idempotency.keep.bind(app.store.idempotency)
  app.store.idempotency.keep = async () => { throw new MongoNetworkError('gone') }
  const first = await create('not-kept')
  app.store.idempotency.keep = keep
  t.equal(first.status, 201)
  t.strictSame(told(await create('not-kept')), told(first))
})

t.test('a record that runs out while it is looked at is made anew', async (t) => {
  const find = app.store.idempotency.find.bind(app.store.idempotency)
  const first = await create('runs-out')
  app.store.idempotency.find = async (id) => {
    app.store.idempotency.find = find
    await records.deleteOne({ _id: id as unknown as ObjectId })
    return undefined
  }
  const second = await create('runs-out')
  t.equal(second.status, 201)
  t.not(second.body.id, first.body.id)
})

t.test('records go by themselves, a day after they were made at the earliest', async (t) => {
  const indexes = await records.indexes()
  t.ok(indexes.some(({ key, expireAfterSeconds }) => 'createdAt' in key && Number(expireAfterSeconds) >= 24 * 3600))
  t.ok((await records.find().toArray()).every(({ createdAt }) => createdAt instanceof Date))
})

t.test('a request without a key does not know of all this', async (t) => {
  const before = await records.countDocuments()
  const [first, second] = [await client.createConfig(), await client.createConfig()]
  t.not(first, second)
  t.equal(await records.countDocuments(), before)
})

t.test('the document tells of it on every route that declares it', async (t) => {
  const { paths } = (await client.ask<{ paths: Record<string, Record<string, Operation>> }>('/openapi.json')).body
  for (const path of ['/api/configs', '/api/sessions']) {
    const { parameters, responses } = paths[path]!['post']!
    t.match(parameters, [{ in: 'header', name: 'idempotency-key', required: false, schema: { maxLength: 255 } }])
    t.match(responses, { 201: { headers: { 'idempotency-replayed': {} } }, 422: {} })
    t.notOk(paths[path]!['get']!.responses['422'])
  }
})

interface Operation { parameters: unknown[], responses: Record<string, object> }
