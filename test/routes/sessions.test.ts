import { ObjectId } from 'mongodb'
import t from 'tap'
import { bearer, contents, isProblem, JWT_SECRET, nobody, pages, type PageView, type SessionView } from '../edge.ts'
import { startApp, type Client } from '../helper.ts'

const { app, client, clientFor, db } = await startApp(t, { JWT_SECRET })
const config = await client.createConfig()
const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

const path = (id: string) => `/api/sessions/${id}`
const open = async (who: Client, input: Record<string, unknown> = {}) =>
  await who.ask<SessionView>('/api/sessions', { body: { configId: config, ...input } })
const patch = async (who: Client, id: string, body: unknown) => await who.ask<SessionView>(path(id),
  { method: 'PATCH', body })
const send = async (who: Client, id: string, message = 'Hello') => await who.ask(`${path(id)}/messages`,
  { body: { message } })
const idsOf = async (who: Client, query = '') =>
  (await who.ask<PageView<SessionView>>(`/api/sessions${query}`)).body.data.map(({ id }) => id)

t.test('a session is opened with a chatbot', async (t) => {
  const { status, headers, body } = await open(client)
  t.equal(status, 201)
  t.equal(headers.get('location'), path(body.id))
  t.match(body.startedAt, timestamp)
  t.same(body, {
    id: body.id,
    sessionId: body.id,
    configId: config,
    configVersion: null,
    userId: null,
    channel: null,
    title: null,
    metadata: {},
    status: 'active',
    branchId: body.id,
    messageCount: 0,
    startedAt: body.startedAt,
    lastActivity: body.startedAt
  })
  t.same((await client.ask(path(body.id))).body, body, 'it reads as it was answered')
})

t.test('everything that is said of a session is kept', async (t) => {
  const metadata = {
    plan: 'pro',
    nested: { list: [1, 2.5, null, true, { $ne: null }] },
    date: '2026-01-01T00:00:00.000Z',
    numbers: [2 ** 53, -(2 ** 63), 5e-324, 1e308],
    'a.b': 1,
    $set: { x: 1 },
    'line\nbreak': 1,
    '': 0,
    '😀': '😀',
    ...Object.fromEntries(['toString', 'constructor', 'length', 'toBSON', 'toJSON',
      'hasOwnProperty'].map((name) => [name, 1]))
  }
  const input = { userId: 'customer 17', channel: 'web', title: 'Überraschung 😀', metadata }
  const { body } = await open(client, input)
  t.match(body, { userId: 'customer 17', channel: 'web', title: 'Überraschung 😀' })
  t.same(body.metadata, metadata)
  t.same((await client.ask<SessionView>(path(body.id))).body.metadata, metadata)
  t.same((await patch(client, body.id, { metadata: { plan: null } })).body.metadata, { plan: null },
    'metadata is replaced, not merged')
  t.same((await patch(client, body.id, { metadata: { $ref: 'a', $id: 1 } })).body.metadata, { $ref: 'a', $id: 1 })
  t.same((await patch(client, body.id, { metadata })).body.metadata, metadata)
})

t.test('an unknown or foreign configuration is not found', async (t) => {
  const foreign = await (await clientFor('elsewhere', 'admin')).createConfig()
  const before = await contents(db)
  for (const configId of [nobody, foreign, 'x', '', '$ne', nobody.toUpperCase()]) {
    isProblem(t,
      await open(client, { configId }), 'not_found', configId)
  }
  t.equal(await contents(db), before)
})

t.test('a chatbot that names its channels takes sessions from these only', async (t) => {
  const picky = await client.createConfig({ channels: ['web', 'email'] })
  t.match(await open(client, { configId: picky, channel: 'email' }), { status: 201, body: { channel: 'email' } })
  t.match(await open(client, { configId: picky }), { status: 201, body: { channel: null } },
    'a session need not name one')
  for (const channel of ['sms', 'Web', 'web ']) {
    const refused = await open(client, { configId: picky, channel })
    isProblem(t, refused, 'validation_failed', channel)
    t.match(refused.body, { errors: [{ path: '/channel' }] })
  }
})

t.test('the user of a session is who opens it, unless a wider scope names another', async (t) => {
  const own = bearer(client, { sub: 'anna', scope: 'chat' })
  t.match(await open(own), { status: 201, body: { userId: 'anna' } })
  t.match(await open(own, { userId: 'anna' }), { status: 201, body: { userId: 'anna' } })
  isProblem(t, await open(own, { userId: 'berta' }), 'forbidden', 'chat, for another user')

  const desk = bearer(client, { sub: 'desk', scope: 'sessions:write' })
  t.match(await open(desk), { status: 201, body: { userId: 'desk' } })
  t.match(await open(desk, { userId: 'berta' }), { status: 201, body: { userId: 'berta' } })
  t.match(await open(bearer(client, { sub: 'root', scope: 'admin' }), { userId: 'berta' }),
    { status: 201, body: { userId: 'berta' } })
  const reader = bearer(client, { sub: 'anna', scope: 'chat sessions:read' })
  isProblem(t, await open(reader, { userId: 'berta' }), 'forbidden', 'reading all is not writing for all')

  const key = await clientFor('default', 'sessions:write')
  t.match(await open(key), { status: 201, body: { userId: null } })
  t.match(await open(key, { userId: 'carla' }), { status: 201, body: { userId: 'carla' } })
})

t.test('lists can be narrowed to a chatbot and to a user', async (t) => {
  const who = await clientFor('filters', 'admin')
  const [one, two] = [await who.createConfig(), await who.createConfig()]
  const a = await who.createSession(one, { userId: 'anna' })
  const b = await who.createSession(one, { userId: 'berta' })
  const c = await who.createSession(two, { userId: 'anna' })
  const d = await who.createSession(two)
  t.same(new Set(await idsOf(who)), new Set([a, b, c, d]))
  t.same(new Set(await idsOf(who, `?configId=${one}`)), new Set([a, b]))
  t.same(new Set(await idsOf(who, '?userId=anna')), new Set([a, c]))
  t.same(await idsOf(who, `?userId=anna&configId=${two}`), [c])
  t.same(await idsOf(who, '?userId=nobody'), [])
  t.same(await idsOf(who, `?configId=${nobody}`), [])
  t.same(await idsOf(who, `?configId=${config}`), [], 'a chatbot of another tenant')
  for (const query of ['configId=x', 'configId=', 'userId=', 'userId=%20', 'userId=a&userId=b', 'userId[$ne]=1',
    'status=active', 'userId=%ED%A0%80', 'userId=%00', 'userId=%FF', 'limit=0', 'limit=101', 'cursor=x']) {
    isProblem(t, await who.ask(`/api/sessions?${query}`), 'validation_failed', query)
  }
})

t.test('the newest activity comes first, and pages lose nothing', async (t) => {
  const who = await clientFor('pages', 'admin')
  const own = await who.createConfig()
  const opened: string[] = []
  for (let i = 0; i < 25; i++) opened.push(await who.createSession(own))
  const stored = await db.collection('sessions').find({ tenantId: 'pages' }).toArray()
  // Pairs of one instant, so that only the identifier tells them apart.
  await Promise.all(stored.map(({ _id }) => {
    const index = opened.indexOf(_id.toString())
    return db.collection('sessions').updateOne({ _id },
      { $set: { lastActivity: new Date(1_700_000_000_000 + (index >> 1)) } })
  }))
  const read = await pages<SessionView>(who, '/api/sessions', 10)
  t.same(read.map((page) => page.length), [10, 10, 5])
  t.same(read.flat().map(({ id }) => id), opened.toReversed())

  t.equal((await send(who, opened[3]!)).status, 200)
  const [first] = (await who.ask<PageView<SessionView>>('/api/sessions?limit=1')).body.data
  t.match(first, { id: opened[3], messageCount: 2 }, 'a message is activity')
  await patch(who, opened[5]!, { title: 'x' })
  t.same(await idsOf(who, '?limit=1'), [opened[3]], 'a title is not')
})

t.test('a page is full even where sessions of a deleted chatbot lie between', async (t) => {
  const who = await clientFor('gaps', 'admin')
  const [kept, deleted] = [await who.createConfig(), await who.createConfig()]
  const expected: string[] = []
  for (let i = 0; i < 6; i++) {
    expected.unshift(await who.createSession(kept))
    await who.createSession(deleted)
    await who.createSession(deleted)
  }
  // As another replica leaves it: marked, not yet purged.
  const [mark] = await db.collection('configs').find({ tenantId: 'gaps' }).sort({ _id: -1 }).limit(1).toArray()
  await db.collection('configs').updateOne({ _id: mark!._id }, { $set: { deletedAt: new Date() } })
  t.same((await pages<SessionView>(who, '/api/sessions', 4)).map((page) => page.map(({ id }) => id)),
    [expected.slice(0, 4), expected.slice(4)])
})

t.test('title, metadata and status can be changed', async (t) => {
  const { body: made } = await open(client, { title: 'Old', metadata: { a: 1 } })
  t.same((await patch(client, made.id, { title: 'New' })).body, { ...made, title: 'New' })
  t.same((await patch(client, made.id, { title: null })).body, { ...made, title: null })
  t.same((await patch(client, made.id, {})).body, { ...made, title: null })
  t.same((await patch(client, made.id, { title: '', metadata: {}, status: 'ended' })).body,
    { ...made, title: '', metadata: {}, status: 'ended' })
  const before = await contents(db)
  for (const body of [
    { status: 'deleted' }, { status: null }, { status: 'Active' }, { status: { $ne: 'ended' } }, { metadata: null }, { title: 1 },
    { userId: 'x' }, { tenantId: 'x' }, { nextSeq: 1 }, { turn: null }, { configId: config }, { lastActivity: made.lastActivity }, [], 'null'
  ]) isProblem(t, await client.ask(path(made.id), { method: 'PATCH', body }), 'validation_failed', JSON.stringify(body))
  t.equal(await contents(db), before)
})

t.test('an ended session takes no message until it is active again', async (t) => {
  const { body: { id } } = await open(client)
  await patch(client, id, { status: 'ended' })
  isProblem(t, await send(client, id), 'session_ended')
  t.match((await client.ask(path(id))).body, { status: 'ended', messageCount: 0 })
  await patch(client, id, { status: 'active' })
  t.equal((await send(client, id)).status, 200)
  t.match((await client.ask(path(id))).body, { status: 'active', messageCount: 2 })
})

t.test('a deleted session is gone with its messages', async (t) => {
  const { body: { id } } = await open(client, { userId: 'gone-user' })
  const { body } = await send(client, id, 'A secret of gone-user')
  const message = `${path(id)}/messages/${(body['botMessage'] as { id: string }).id}`
  const removed = await client.fetch(path(id), { method: 'DELETE' })
  t.equal(removed.status, 204)
  t.equal(await removed.text(), '')
  for (const [method, url, input] of [
    ['GET', path(id)], ['PATCH', path(id), { status: 'active' }], ['DELETE', path(id)], ['GET', `${path(id)}/messages`],
    ['POST', `${path(id)}/messages`, { message: 'Hello?' }], ['GET', message], ['GET', `${message}/stream`], ['POST',
      `${message}/stop`]
  ] as const) isProblem(t, await client.ask(url, { method, body: input }), 'not_found', `${method} ${url}`)
  t.same(await idsOf(client, '?userId=gone-user'), [])
  await app.chat.purge()
  t.notMatch(await contents(db), new RegExp(`${id}|gone-user`), 'nothing of it is stored any more')
})

t.test('a user with chat sees and touches their own sessions only', async (t) => {
  const [anna, berta] = ['anna-own', 'berta-own'].map((sub) => bearer(client, { sub, scope: 'chat' })) as [Client,
    Client]
  const { body: { id } } = await open(anna)
  const { body: { id: other } } = await open(berta)
  const sent = await send(anna, id)
  const message = `${path(id)}/messages/${(sent.body['botMessage'] as { id: string }).id}`
  const before = await contents(db)
  for (const [method, url, body] of [
    ['GET', path(id)], ['PATCH', path(id), { title: 'x' }], ['DELETE', path(id)], ['GET', `${path(id)}/messages`],
    ['POST', `${path(id)}/messages`, { message: 'x' }], ['GET', message], ['GET', `${message}/stream`], ['POST',
      `${message}/stop`]
  ] as const) isProblem(t, await berta.ask(url, { method, body }), 'not_found', `${method} ${url}`)
  t.equal(await contents(db), before)
  t.same(await idsOf(anna), [id])
  t.same(await idsOf(berta), [other])
  t.same(await idsOf(berta, '?userId=anna-own'), [], 'another user cannot be asked for')
  t.same(await idsOf(berta, '?userId=berta-own'), [other])

  const foreign = bearer(client, { sub: 'anna-own', tid: 'elsewhere', scope: 'chat' })
  isProblem(t, await foreign.ask(path(id)), 'not_found', 'the same name in another tenant is another user')
  t.same(await idsOf(foreign), [])
  t.match(await patch(anna, id, { title: 'Mine', status: 'ended' }),
    { status: 200, body: { title: 'Mine', status: 'ended' } })
  t.equal((await anna.ask(path(id), { method: 'DELETE' })).status, 204)
  isProblem(t, await anna.ask(path(id)), 'not_found')
})

t.test('reading all and writing one\'s own can be held together', async (t) => {
  const { body: { id } } = await open(client, { userId: 'somebody' })
  const reader = bearer(client, { sub: 'anna', scope: 'chat sessions:read' })
  t.equal((await reader.ask(path(id))).status, 200)
  isProblem(t, await patch(reader, id, { title: 'x' }), 'not_found', 'PATCH')
  isProblem(t, await send(reader, id), 'not_found', 'send')
  isProblem(t, await reader.ask(path(id), { method: 'DELETE' }), 'not_found', 'DELETE')
})

t.test('an API key has no sessions of its own', async (t) => {
  const key = await clientFor('default', 'chat')
  const { body: { id } } = await open(client)
  for (const [method, url, body] of [
    ['POST', '/api/sessions', { configId: config }], ['GET', '/api/sessions'], ['GET', path(id)], ['PATCH', path(id),
      {}], ['DELETE', path(id)],
    ['GET', `${path(id)}/messages`], ['POST', `${path(id)}/messages`, { message: 'x' }]
  ] as const) isProblem(t, await key.ask(url, { method, body }), 'forbidden', `${method} ${url}`)
})

t.test('a session that is opened while its chatbot is being deleted does not stay behind', async (t) => {
  const configId = await client.createConfig()
  const { sessions } = app.store
  const insert = sessions.insert.bind(sessions)
  t.teardown(() => { sessions.insert = insert })
  // The moment that matters lies between two commands, so it is made here.
  sessions.insert = async (...session) => {
    await client.ask(`/api/configs/${configId}`, { method: 'DELETE' })
    await app.chat.purge()
    return await insert(...session)
  }
  isProblem(t, await client.ask('/api/sessions', { body: { configId } }), 'not_found')
  await app.chat.purge()
  t.equal(await db.collection('sessions').countDocuments({ configId: new ObjectId(configId) }), 0)
})
