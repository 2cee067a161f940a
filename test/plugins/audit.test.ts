import t from 'tap'
import { buildApp } from '../../src/app.ts'
import { recordedValues } from '../../src/audit/values.ts'
import { loadConfig } from '../../src/config.ts'
import { bearer, isProblem, JWT_SECRET, nobody, pages, signJwt } from '../edge.ts'
import { databaseName, startApp, storeUri, type Client } from '../helper.ts'

interface Entry {
  id: string
  at: string
  action: string
  actor: Record<string, unknown>
  target: { type: string, id: string | null }
  before: unknown
  after: unknown
  status: number | null
  ip: string
  userAgent: string | null
  requestId: string
}

/** Operations that change something and are not noted, and why. */
const unnoted: Record<string, string> = {
  refreshSignIn: 'goes on with a sign-in, which is noted',
  requestPasswordReset: 'asks for a mail',
  resendVerification: 'asks for a mail',
  grantToken: 'a key changed for a token that can do no more',
  createVisitorToken: 'the beginning of a conversation',
  getCsrfToken: 'tells a page what its own cookie is made of',
  createSession: 'part of a conversation, which tells of itself',
  patchSession: 'part of a conversation: its change log tells of it',
  receiveMessage: 'is the conversation',
  receiveWebhook: 'is the conversation',
  explainWebhook: 'a dry run',
  sendMessage: 'is the conversation',
  editMessage: 'is the conversation',
  regenerateMessage: 'is the conversation',
  stopMessage: 'is the conversation',
  createChatCompletion: 'is the conversation',
  createEmbeddings: 'changes nothing',
  createResponse: 'is the conversation',
  cancelResponse: 'is the conversation',
  rateMessage: 'what a reader thinks: its change log tells of it',
  unrateMessage: 'what a reader thinks: its change log tells of it',
  createSpecification: 'a draft configures nothing until it is made a configuration'
}

const { app, client, db, clientFor } = await startApp(t, { JWT_SECRET })

async function entries (query: Record<string, string>, who: Client = client): Promise<Entry[]> {
  const { body } = await who.ask<{ data: Entry[] }>(`/api/audit?${new URLSearchParams(query).toString()}`)
  return body.data
}

t.test('a change is noted with what was and what is', async (t) => {
  const created = await client.ask<{ id: string }>('/api/configs', { body: { purpose: 'Help.', model: { maxTokens: 100 } } })
  const { id } = created.body
  await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { historyLimit: 7 }, headers: { 'user-agent': 'x'.repeat(300) } })
  await client.ask(`/api/configs/${id}`, { method: 'DELETE' })
  const [deleted, updated, made] = await entries({ targetId: id })
  t.match(made, {
    action: 'config.created',
    target: { type: 'config', id },
    before: null,
    after: { id, purpose: 'Help.', model: { maxTokens: 100 } },
    status: 201,
    ip: '127.0.0.1',
    requestId: created.headers.get('x-request-id'),
    actor: { kind: 'api-key', id: /^.{8,}$/, keyId: /./, role: null }
  })
  t.match(updated, { action: 'config.updated', status: 200, userAgent: 'x'.repeat(256) })
  t.match(updated?.before, { version: 1, historyLimit: 20 })
  t.same(Object.keys(updated?.before as object).sort(), ['historyLimit', 'updatedAt', 'version'], 'only what differs')
  t.match(deleted, { action: 'config.deleted', status: 204, before: { historyLimit: 7 }, after: null })
})

t.test('every operation that changes something is noted, or it is said here why it is not', async (t) => {
  const { paths } = app.swagger() as unknown as { paths: Record<string, Record<string, { operationId: string, 'x-audit'?: string }>> }
  const operations = Object.values(paths).flatMap((methods) => Object.entries(methods)
    .map(([method, { operationId, 'x-audit': action }]) => ({ method, operationId, action })))
  const silent = operations.filter(({ method, action }) => method !== 'get' && action === undefined).map(({ operationId }) => operationId)
  t.same(silent.sort(), Object.keys(unnoted).sort(), 'declare `audit` in the config of the route')
  for (const { action } of operations) t.match(action ?? 'none.declared', /^[a-z][a-z-]{0,39}\.[a-z][a-z-]{0,39}$/, 'as the filter takes it')
})

const actions = (found: Entry[]) => found.map(({ action }) => action)

t.test('who it was is told without a name of theirs', async (t) => {
  const id = await client.createConfig()
  const anna = bearer(client, { sub: 'anna', scope: 'configs:write' })
  await anna.ask(`/api/configs/${id}`, { method: 'PATCH', body: { historyLimit: 3 } })
  const found = await entries({ actorId: 'anna' })
  t.match(found, [{ action: 'config.updated', actor: { kind: 'jwt', id: 'anna', keyId: null, role: null } }])
})

t.test('what was refused is noted with its status and without values', async (t) => {
  await client.ask(`/api/configs/${nobody}`, { method: 'DELETE' })
  const id = await client.createConfig()
  await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { historyLimit: 3 }, headers: { 'if-match': '"7"' } })
  t.match(await entries({ targetId: nobody }), [{ action: 'config.deleted', status: 404, before: null, after: null }])
  t.match((await entries({ targetId: id }))[0], { action: 'config.updated', status: 412, before: null, after: null })
  const count = await db.collection('auditLog').countDocuments()
  t.equal((await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { wrong: true } })).status, 400)
  t.equal((await bearer(client, { sub: 'a', scope: 'chat' }).ask(`/api/configs/${id}`, { method: 'DELETE' })).status, 403)
  t.equal(await db.collection('auditLog').countDocuments(), count, 'what never came to be tried is not noted')
})

t.test('every other operation that changes a configuration, or much at once, is noted', async (t) => {
  const { body: { id } } = await client.ask<{ id: string }>('/api/configs', { body: { purpose: 'Help.' }, headers: { 'idempotency-key': 'a' } })
  await client.ask('/api/configs', { body: { purpose: 'Help.' }, headers: { 'idempotency-key': 'a' } })
  await client.ask(`/api/configs/${id}`, { method: 'PUT', body: { purpose: 'Help more.' } })
  await client.ask(`/api/configs/${id}/rollback`, { body: { version: 1 } })
  t.same(actions(await entries({ targetId: id })), ['config.rolled-back', 'config.updated', 'config.created'], 'a repeat has done nothing')
  const { body: exported } = await client.ask(`/api/configs/${id}/export`)
  const imported = await client.ask<{ id: string }>('/api/configs/import', { body: exported })
  t.same(actions(await entries({ targetId: imported.body.id })), ['config.imported'])

  const all = await client.fetch('/api/export')
  await client.ask('/api/import', { body: await all.text(), headers: { 'content-type': 'application/x-ndjson' } })
  t.match(await entries({ action: 'export.made' }), [{ target: { type: 'export', id: null }, status: 200, after: null }])
  t.match(await entries({ action: 'import.made' }), [{ status: 200, after: Object }])
})

t.test('keys and quotas are noted without a secret', async (t) => {
  const { body } = await client.ask<{ id: string, key: string }>('/api/keys', { body: { name: 'shop', scopes: ['chat'] } })
  const { body: rotated } = await client.ask<{ key: string }>(`/api/keys/${body.id}/rotate`, { body: {} })
  await client.ask(`/api/keys/${body.id}`, { method: 'DELETE' })
  const found = await entries({ targetId: body.id })
  t.same(actions(found), ['key.revoked', 'key.rotated', 'key.created'])
  t.match(found[2], { after: { key: '***', name: 'shop', scopes: ['chat'] } })
  const stored = JSON.stringify(await db.collection('auditLog').find().toArray())
  for (const secret of [body.key, rotated.key]) t.notOk(stored.includes(secret.slice(12)))
  await client.ask('/api/quotas', { method: 'PUT', body: { perUser: {}, perKey: { tokensPerDay: 9_000_000 } } })
  t.match(await entries({ targetType: 'quotas' }), [{ action: 'quotas.updated', before: { perKey: { tokensPerDay: 0 } }, after: { perKey: { tokensPerDay: 9_000_000 } } }])
})

t.test('who reads what others said is noted, once a minute', async (t) => {
  const session = await client.converse()
  await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'My name is Hidden.' } })
  t.same(await entries({ targetId: session }), [], 'a send is not a reading')
  const read = async (who: Client, paths = ['', '/messages', '/branches', '/messages?limit=1']) => {
    for (const path of paths) t.equal((await who.ask(`/api/sessions/${session}${path}`)).status, 200)
  }
  await read(client)
  const found = await entries({ targetId: session })
  t.match(found, [{ action: 'session.read', status: 200, before: null, after: null, target: { type: 'session', id: session } }])
  t.equal(found.length, 1)
  const original = performance.now.bind(performance)
  let later = 0
  t.intercept(performance, 'now', { value: () => original() + later })
  later = 60_001
  await read(client)
  t.equal((await entries({ targetId: session })).length, 2, 'a minute later')

  await read(bearer(client, { sub: 'boss', scope: 'sessions:read' }))
  t.match(await entries({ actorId: 'boss' }), [{ action: 'session.read', actor: { kind: 'jwt', id: 'boss' } }], 'a person')
  const count = async () => await db.collection('auditLog').countDocuments({ action: { $ne: 'audit.read' } })
  const before = await count()
  await read(await clientFor('default', 'sessions:read'))
  await read(await clientFor('default', 'chat', 'sessions:read'), ['/messages'])
  const own = bearer(client, { sub: 'anna', scope: 'chat' })
  const hers = await own.createSession(await client.createConfig())
  await own.ask(`/api/sessions/${hers}/messages`)
  t.equal(await count(), before + 1, 'a key that serves its users, and users themselves, are no staff: only the configuration is noted')

  await client.ask(`/api/sessions/${nobody}/messages`)
  await client.ask(`/api/sessions/${nobody}/messages`)
  t.match(await entries({ targetId: nobody, action: 'session.read' }), [{ status: 404 }, { status: 404 }], 'what was not found was not read')
})

t.test('other ways of reading are noted, too', async (t) => {
  const session = await client.converse()
  const sent = await client.ask<{ botMessage: { id: string } }>(`/api/sessions/${session}/messages`, { body: { message: 'Hello' } })
  const boss = bearer(client, { sub: 'reader', scope: 'sessions:read' })
  const path = `/api/sessions/${session}/messages/${sent.body.botMessage.id}/stream`
  const { events } = await boss.events(path)
  await Array.fromAsync(events)
  for (const other of ['/api/sessions', '/api/messages/search?q=hello', '/api/feedback', `/api/sessions/${session}/export`]) await (await boss.fetch(other)).text()
  for (const feed of ['/api/events', `/api/sessions/${session}/events`]) await (await boss.fetch(feed)).body?.cancel()
  const found = await entries({ actorId: 'reader' })
  t.same(actions(found).sort(), ['events.followed', 'feedback.listed', 'messages.searched', 'session.exported', 'session.read', 'sessions.listed'])
  t.match(found.find(({ action }) => action === 'session.read'), { target: { id: session } })
  const followed = async () => (await entries({ actorId: 'reader' })).find(({ action }) => action === 'events.followed')
  while ((await followed())!.status === null) { /* the server hears soon that the reader has left */ }
  t.equal((await followed())!.status, 200)
})

t.test('who removes what others said is noted, and of what was said nothing is', async (t) => {
  const config = await client.createConfig()
  const secret = 'Hidden'
  const user = bearer(client, { sub: `${secret}-user`, scope: 'chat' })
  const session = await user.createSession(config, { title: secret, metadata: { secret } })
  const { body } = await user.ask<{ userMessage: { id: string } }>(`/api/sessions/${session}/messages`, { body: { message: `I am ${secret}.` } })
  await user.ask(`/api/sessions/${session}/messages/${body.userMessage.id}`, { method: 'DELETE' })
  t.same(await entries({ targetId: body.userMessage.id }), [], 'their own they may remove')
  await client.ask(`/api/sessions/${session}/messages/${body.userMessage.id}`, { method: 'DELETE' })
  await client.ask(`/api/sessions/${session}/messages`, { method: 'DELETE' })
  await client.ask(`/api/sessions/${session}`)
  await client.ask(`/api/messages/search?q=${secret}`)
  await client.ask(`/api/sessions/${session}`, { method: 'DELETE' })
  const erased = await client.ask<{ id: string }>(`/api/end-users/${secret}-user`, { method: 'DELETE' })
  t.match(await entries({ targetId: body.userMessage.id }), [{ action: 'message.deleted', status: 204 }])
  t.same(actions(await entries({ targetId: session })), ['session.deleted', 'session.read', 'session.cleared'])
  t.match(await entries({ targetId: erased.body.id }), [{ action: 'erasure.requested', status: 202, target: { type: 'erasure' } }])
  t.notMatch(JSON.stringify(await db.collection('auditLog').find().toArray()), secret, 'and it does not name them')
})

t.test('values hold no secret and nothing that was said, and are bounded', async (t) => {
  const values = (before: unknown, after?: unknown) => {
    const recorded = recordedValues(before, after)
    return [recorded.before, recorded.after].map((json) => json === null ? null : JSON.parse(json) as unknown)
  }
  t.same(values({
    key: 'hunter2',
    apiKey: 'hunter2',
    keyHash: 'hunter2',
    clientSecret: 'hunter2',
    password: 'hunter2',
    refreshToken: 'hunter2',
    tokens: ['hunter2'],
    hash: 'hunter2',
    privateKey: 'hunter2',
    keyId: 'k1',
    keyPrefix: 'pk_1',
    tokenType: 'bearer',
    maxTokens: 5,
    secrets: { webhook: 'hunter2', id: ['hunter2', 1] },
    deep: [{ secret: 'hunter2', name: 'n' }],
    email: 'anna@example.com',
    at: new Date(0),
    content: 'hunter2',
    metadata: { a: 1 },
    none: null
  }), [{
    key: '***',
    apiKey: '***',
    keyHash: '***',
    clientSecret: '***',
    password: '***',
    refreshToken: '***',
    tokens: ['***'],
    hash: '***',
    privateKey: '***',
    keyId: 'k1',
    keyPrefix: 'pk_1',
    tokenType: 'bearer',
    maxTokens: 5,
    secrets: { webhook: '***', id: ['***', 1] },
    deep: [{ secret: '***', name: 'n' }],
    email: 'a***@example.com',
    at: '1970-01-01T00:00:00.000Z',
    content: '***',
    metadata: '***',
    none: null
  }, null])
  t.same(values({ a: 1, b: [1], key: 'x' }, { a: 1, b: [2], key: 'y', c: 3 }), [{ b: [1], key: '***' }, { b: [2], key: '***', c: 3 }], 'only what differs')
  t.same(values('was', ['is']), ['was', ['is']])
  t.same(values(null), [null, null])
  const [long] = values({ text0: 'x'.repeat(5000), pair: `${'x'.repeat(3999)}🐳` }) as [Record<string, string>]
  t.equal(long['text0']!.length, 4001)
  t.ok(long['pair']!.isWellFormed())
  t.same(values(Array.from({ length: 100 }, () => 'x'.repeat(4000))), [{ tooLarge: true }, null])
})

t.test('the log is its tenant\'s, is for admins, and is read by filters and pages', async (t) => {
  const stranger = await clientFor('stranger', 'admin')
  const id = await client.createConfig()
  t.same(await entries({ targetId: id }, stranger), [])
  isProblem(t, await (await clientFor('default', 'configs:write', 'sessions:read')).ask('/api/audit'), 'forbidden')
  const own = await stranger.createConfig()
  for (let i = 1; i <= 6; i++) await stranger.ask(`/api/configs/${own}`, { method: 'PATCH', body: { historyLimit: i } })
  const found = await pages<Entry>(stranger, `/api/audit?targetType=config&targetId=${own}`, 3)
  t.same(found.map((page) => page.length), [3, 3, 1])
  const all = found.flat()
  t.same(all.map(({ at }) => at), all.map(({ at }) => at).sort().reverse(), 'the newest first')
  t.same(await entries({ action: 'config.updated', limit: '2' }, stranger), all.slice(0, 2))
  t.same(await entries({ targetType: 'session' }, stranger), [])
  const { at } = all[3]!
  t.same((await entries({ from: at, targetId: own }, stranger)).map(({ at }) => at), all.map((entry) => entry.at).filter((other) => other >= at))
  t.same((await entries({ to: at, targetId: own }, stranger)).map(({ at }) => at), all.map((entry) => entry.at).filter((other) => other < at))
  t.same(await entries({ from: at, to: at }, stranger), [])
  t.match(await entries({ action: 'audit.read' }, stranger), [{ status: 200 }], 'reading it is noted, once a minute')
  for (const query of ['action=$ne', 'action[$ne]=x', 'from=yesterday', 'targetType=A', 'actorId=', 'cursor=x', 'limit=0', 'unknown=1']) {
    isProblem(t, await stranger.ask(`/api/audit?${query}`), 'validation_failed', query)
  }
  t.equal((await stranger.ask('/api/audit', { method: 'DELETE' })).status, 405, 'nobody removes it')
})

t.test('what cannot be noted is not done', async (t) => {
  const { client, db } = await startApp(t)
  const id = await client.createConfig()
  await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { historyLimit: 1 } })
  const log = db.collection('auditLog')
  await log.createIndex({ action: 1 }, { unique: true })
  const refused = await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { historyLimit: 2 } })
  isProblem(t, refused, 'store_unavailable')
  t.equal(refused.headers.get('retry-after'), '1')
  t.match((await client.ask(`/api/configs/${id}`)).body, { historyLimit: 1 })
  await log.dropIndex('action_1')

  await log.createIndex({ status: 1 }, { unique: true, partialFilterExpression: { status: { $gte: 1 } } })
  const done = await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { historyLimit: 3 } })
  t.match(done, { status: 200, body: { historyLimit: 3 } }, 'what was done is answered')
  t.match(await entries({ targetId: id }, client), [{ action: 'config.updated', status: null, after: null }, {}, {}], 'and it stays open what became of it')
})

t.test('a route without a credential says whom it was about; what fails on the way has an end, too', async (t) => {
  const database = databaseName()
  const app = await buildApp(loadConfig({ MONGODB_URI: await storeUri(), MONGODB_DATABASE: database, JWT_SECRET }))
  t.teardown(async () => {
    await app.mongo.client.db(database).dropDatabase()
    await app.close()
  })
  const config = { scope: 'public', audit: { action: 'login.tried' } } as const
  app.post('/known', { config }, async (request) => {
    request.auditedAs({ tenantId: 'acme', account: { id: 'a1', role: 'owner' }, targetId: 't1' })
    return { token: 'hunter2' }
  })
  app.post('/knownWithoutRole', { config }, async (request) => {
    request.auditedAs({ tenantId: 'acme', account: { id: 'a2' } })
    request.auditedAs({ tenantId: 'acme' })
    throw new Error('no')
  })
  app.post('/unknown', { config }, async () => ({}))
  app.post('/silent', { config: { scope: 'public' } }, async (request) => {
    request.auditedAs({ tenantId: 'acme' })
    return {}
  })
  const failing = { scope: 'admin', audit: { action: 'thing.changed', before: async () => { throw new Error('hunter2') } } } as const
  app.post('/failing', { config: failing }, async () => ({}))
  for (const url of ['/known', '/knownWithoutRole', '/unknown', '/silent']) await app.inject({ method: 'POST', url })
  await app.inject({ method: 'POST', url: '/failing', headers: { authorization: `Bearer ${signJwt({ sub: 'a', tid: 'acme', scope: 'admin' })}`, 'user-agent': '' } })
  const log = app.mongo.client.db(database).collection('auditLog')
  const [known, failed, unknown, unread, ...rest] = await log.find().sort({ _id: 1 }).toArray()
  t.match(known, { tenantId: 'acme', actor: { kind: 'account', id: 'a1', role: 'owner' }, target: { type: 'login', id: 't1' }, status: 200, after: '{"token":"***"}' })
  t.match(failed, { tenantId: 'acme', actor: { kind: 'account', id: 'a2', role: null }, status: 500, after: null })
  t.match(unknown, { tenantId: null, actor: { kind: 'anonymous', id: null }, status: 200, nobodysSince: Date }, 'what is nobody\'s goes after a month')
  t.notOk(known?.['nobodysSince'])
  t.match(unread, { tenantId: 'acme', action: 'thing.changed', status: 500, before: null })
  t.same(rest, [])
})

t.test('logins, failed ones and logouts are noted of accounts, without their addresses', async (t) => {
  const { client, db } = await startApp(t, { JWT_SECRET, REGISTRATION: 'open' })
  const anyone = client.with({})
  const [email, password] = ['anna.hidden@example.com', 'correct horse battery']
  const registered = await anyone.ask<{ user: { id: string } }>('/api/auth/register', { body: { email, password, name: 'Anna Hidden' } })
  const { id } = registered.body.user
  await anyone.ask('/api/auth/login', { body: { email, password: 'wrong horse battery' } })
  await anyone.ask('/api/auth/login', { body: { email: 'nobody@example.com', password } })
  const { body } = await anyone.ask<{ token: string, refreshToken: string }>('/api/auth/login', { body: { email, password } })
  await anyone.ask('/api/auth/logout', { body: { refreshToken: 'none' } })
  const owner = client.with({ authorization: `Bearer ${body.token}` })
  await owner.createConfig()
  const found = (await entries({ actorId: id }, owner)).filter(({ action }) => action !== 'audit.read')
  t.match(found.map(({ action, status, actor, target }) => [action, status, actor['kind'], target.type]), [
    ['config.created', 201, 'account', 'config'], ['account.signed-in', 200, 'account', 'account'], ['account.signed-in', 401, 'account', 'account'],
    ['account.registered', 201, 'account', 'account']
  ])
  t.match(found[1], { actor: { role: 'owner', keyId: null }, target: { id }, after: { token: '***', refreshToken: '***' } })
  await anyone.ask('/api/auth/logout', { body: { refreshToken: body.refreshToken } })
  const log = await db.collection<Pick<Entry, 'action' | 'status' | 'actor'> & { tenantId: string | null }>('auditLog').find().toArray()
  t.match(log.at(-1), { action: 'account.signed-out', status: 204, actor: { kind: 'account', id } })
  t.same(log.filter(({ tenantId }) => tenantId === null).map(({ action, status, actor }) => [action, status, actor['id']]), [
    ['account.signed-in', 401, null], ['account.signed-out', 204, null]
  ], 'what is nobody\'s')
  t.notMatch(JSON.stringify(log), /anna\.hidden|battery|nobody@/)
})
