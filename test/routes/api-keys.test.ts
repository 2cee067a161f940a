import t from 'tap'
import { apiKeyPrefix, newApiKey } from '../../src/auth/api-key.ts'
import { openStore } from '../../src/store/store.ts'
import { bearer, isProblem, JWT_SECRET, nobody, pages } from '../edge.ts'
import { databaseName, startApp, type Client } from '../helper.ts'

interface Key {
  id: string
  key: string
  prefix: string
  name: string
  scopes: string[]
  expiresAt: string | null
  lastUsedAt: string | null
  revokedAt: string | null
}

const { app, client, adminKey, clientFor, db } = await startApp(t, { JWT_SECRET })
const withKey = (key: string) => client.with({ 'x-api-key': key })
const make = async (who: Client, body: Record<string, unknown>) => await who.ask<Key>('/api/keys', { body })
const statusOf = async (key: string) => (await withKey(key).ask('/api/configs')).status
const sooner = performance.now.bind(performance)

t.test('a key is shown once, and then works for what it covers', async (t) => {
  const { status, headers, body } = await make(client, { name: 'Shop', scopes: ['configs:read'] })
  t.equal(status, 201)
  t.match(body, {
    id: /^[0-9a-f]{24}$/,
    key: /^pk_[0-9A-Za-z]{8}_[0-9A-Za-z]{32}$/,
    prefix: apiKeyPrefix(body.key)!,
    name: 'Shop',
    scopes: ['configs:read'],
    requestsPerMinute: null,
    createdBy: (await app.store.apiKeys.findByPrefix(apiKeyPrefix(adminKey)!))!.id,
    expiresAt: null,
    lastUsedAt: null,
    revokedAt: null
  })
  t.equal(headers.get('location'), `/api/keys/${body.id}`)
  t.equal(await statusOf(body.key), 200)
  isProblem(t, await withKey(body.key).ask('/api/configs', { body: { purpose: 'No.' } }), 'forbidden')
  isProblem(t, await withKey(body.key).ask('/api/keys'), 'forbidden')
  const { key, ...kept } = body
  const read = await client.ask<Key>(headers.get('location')!)
  t.match(read.body, { ...kept, lastUsedAt: String })
  const stored = JSON.stringify(await db.collection('apiKeys').findOne({ name: 'Shop' }))
  for (const shown of [JSON.stringify(read.body), stored, JSON.stringify((await client.ask('/api/keys')).body)]) {
    t.notMatch(shown, key.slice(12), 'the secret is nowhere')
  }
  t.notMatch(JSON.stringify(read.body), /hash|isGiven/)
  const audited = JSON.stringify(await db.collection('auditLog').find({}).toArray())
  t.match(audited, 'key.created')
  t.notMatch(audited, key.slice(12), 'not in the audit log, either')
  t.same(await db.collection('idempotencyRecords').countDocuments(), 0)
})

t.test('a key covers no more than its maker, and platform only from a holder of it', async (t) => {
  const admin = await clientFor('default', 'admin')
  t.equal((await make(admin, { name: 'x', scopes: ['admin', 'chat'] })).status, 201)
  isProblem(t, await make(admin, { name: 'x', scopes: ['configs:read', 'platform'] }), 'forbidden')
  const mighty = await make(client, { name: 'x', scopes: ['platform'] })
  t.equal(mighty.status, 201)
  isProblem(t, await admin.ask(`/api/keys/${mighty.body.id}/rotate`, { body: {} }), 'forbidden', 'nor can its secret be had')
  isProblem(t, await admin.ask(`/api/keys/${mighty.body.id}`, { method: 'DELETE' }), 'forbidden')
  const person = bearer(client, { sub: 'anna', tid: 'acme', scope: 'admin' })
  t.match((await make(person, { name: 'x', scopes: ['admin'] })).body, { createdBy: 'anna' })
})

t.test('what is no key to make is refused', async (t) => {
  const good = { name: 'x', scopes: ['chat'] }
  const wrong: Record<string, unknown>[] = [
    {}, { name: 'x' }, { ...good, name: ' ' }, { ...good, scopes: [] }, { ...good, scopes: ['root'] }, { ...good, scopes: ['chat', 'chat'] },
    { ...good, scopes: 'chat' }, { ...good, tenantId: 'other' }, { ...good, id: nobody }, { ...good, hash: 'x' },
    { ...good, expiresAt: '2020-01-01T00:00:00Z' }, { ...good, expiresAt: 'tomorrow' }, { ...good, expiresAt: 4e12 },
    { ...good, requestsPerMinute: 0 }, { ...good, requestsPerMinute: 100_001 }
  ]
  const before = await db.collection('apiKeys').countDocuments()
  for (const body of wrong) isProblem(t, await make(client, body), 'validation_failed', JSON.stringify(body))
  t.equal(await db.collection('apiKeys').countDocuments(), before)
})

t.test('a key ends at its time', async (t) => {
  const { body } = await make(client, { name: 'x', scopes: ['configs:read'], expiresAt: new Date(Date.now() + 60_000).toISOString() })
  t.equal(await statusOf(body.key), 200)
  const now = Date.now.bind(Date)
  t.intercept(Date, 'now', { value: () => now() + 60_001 })
  t.equal(await statusOf(body.key), 401)
})

t.test('rotated, both secrets count until the overlap ends, under one name', async (t) => {
  const { body: old } = await make(client, { name: 'x', scopes: ['configs:read'] })
  t.equal(await statusOf(old.key), 200)
  const { status, body: fresh } = await client.ask<Key>(`/api/keys/${old.id}/rotate`, { body: { overlapSeconds: 60 } })
  t.equal(status, 200)
  t.match(fresh, { id: old.id, prefix: old.prefix })
  t.not(fresh.key, old.key)
  t.same([await statusOf(old.key), await statusOf(fresh.key)], [200, 200])
  const now = Date.now.bind(Date)
  const restored = t.intercept(Date, 'now', { value: () => now() + 60_001 })
  t.same([await statusOf(old.key), await statusOf(fresh.key)], [401, 200])
  restored.restore()
  const { body: last } = await client.ask<Key>(`/api/keys/${old.id}/rotate`, { body: { overlapSeconds: 0 } })
  t.same([await statusOf(old.key), await statusOf(fresh.key), await statusOf(last.key)], [401, 401, 200])
  for (const overlapSeconds of [-1, 604_801, 1.5, '60']) {
    isProblem(t, await client.ask(`/api/keys/${old.id}/rotate`, { body: { overlapSeconds } }), 'validation_failed')
  }
})

t.test('revoked, a key is refused at once, and its date stays', async (t) => {
  const { body } = await make(client, { name: 'x', scopes: ['configs:read'] })
  t.equal(await statusOf(body.key), 200)
  t.equal((await client.ask(`/api/keys/${body.id}`, { method: 'DELETE' })).status, 204)
  t.equal(await statusOf(body.key), 401)
  const { revokedAt } = (await client.ask<Key>(`/api/keys/${body.id}`)).body
  t.ok(revokedAt)
  t.equal((await client.ask(`/api/keys/${body.id}`, { method: 'DELETE' })).status, 204)
  t.equal((await client.ask<Key>(`/api/keys/${body.id}`)).body.revokedAt, revokedAt)
  isProblem(t, await client.ask(`/api/keys/${body.id}/rotate`, { body: {} }), 'conflict')
  for (const [path, method] of [['', 'GET'], ['', 'DELETE'], ['/rotate', 'POST']] as const) {
    isProblem(t, await client.ask(`/api/keys/${nobody}${path}`, { method, ...(method === 'POST' && { body: {} }) }), 'not_found')
  }
})

t.test('a key that the environment gives is changed there, and once revoked stays so', async (t) => {
  const { body: { data } } = await client.ask<{ data: Key[] }>('/api/keys?limit=100')
  const given = data.find(({ name }) => name === 'bootstrap')!
  t.same(given.scopes, ['admin', 'platform'])
  isProblem(t, await client.ask(`/api/keys/${given.id}/rotate`, { body: {} }), 'conflict')
})

t.test('another replica refuses a revoked key within five seconds, and asks the store in the background', async (t) => {
  const database = databaseName()
  const [here, there] = [await startApp(t, { MONGODB_DATABASE: database }), await startApp(t, { MONGODB_DATABASE: database })]
  const { body } = await make(here.client, { name: 'x', scopes: ['configs:read'] })
  const at = { 'x-api-key': body.key }
  const status = async () => (await there.client.with(at).ask('/api/configs')).status
  t.equal(await status(), 200)
  await here.client.ask(`/api/keys/${body.id}`, { method: 'DELETE' })
  t.equal(await status(), 200, 'it is remembered there')
  let later = 2501
  t.intercept(performance, 'now', { value: () => sooner() + later })
  await status()
  later = 5001
  t.equal(await status(), 401)
})

t.test('keys are listed page by page, the newest first, those of the tenant only', async (t) => {
  const owner = await clientFor('listing', 'admin')
  const made = []
  for (let i = 0; i < 4; i++) made.unshift((await make(owner, { name: `key ${i}`, scopes: ['chat'] })).body.id)
  const found = await pages<Key>(owner, '/api/keys', 2)
  t.same(found.map((page) => page.length), [2, 2, 1])
  t.same(found.flat().map(({ id }) => id).slice(0, 4), made)
  isProblem(t, await owner.ask('/api/keys?cursor=nonsense'), 'validation_failed')
})

t.test('more requests than everybody has are given by a holder of platform, fewer by anybody', async (t) => {
  const { client, clientFor } = await startApp(t, { RATE_LIMIT_PER_MINUTE: '50' })
  const admin = await clientFor('acme', 'admin')
  isProblem(t, await make(admin, { name: 'x', scopes: ['chat'], requestsPerMinute: 51 }), 'forbidden')
  t.equal((await make(client, { name: 'x', scopes: ['chat'], requestsPerMinute: 51 })).status, 201)
  const { body } = await make(admin, { name: 'x', scopes: ['configs:read'], requestsPerMinute: 2 })
  const slow = admin.with({ 'x-api-key': body.key })
  t.equal((await slow.ask('/api/configs')).headers.get('ratelimit-limit'), '2')
  await slow.ask('/api/configs')
  isProblem(t, await slow.ask('/api/configs'), 'rate_limited')
})

t.test('a tenant has a thousand keys at most', async (t) => {
  const owner = await clientFor('hoarder', 'admin')
  await db.collection<{ _id: string }>('apiKeys').insertMany(Array.from({ length: 1000 }, (_, i) => ({ _id: `pk_hoard${String(i).padStart(3, '0')}`, tenantId: 'hoarder', hash: '' })))
  isProblem(t, await make(owner, { name: 'x', scopes: ['chat'] }), 'conflict')
})

t.test('a key of an earlier version gets its identifier with the next start, and goes on working', async (t) => {
  const database = databaseName()
  const { db, adminKey } = await startApp(t, { MONGODB_DATABASE: database })
  const keys = db.collection<{ _id: string }>('apiKeys')
  await keys.updateMany({}, { $unset: { id: true } })
  await db.collection<{ _id: string }>('migrations').deleteOne({ _id: 'api-key-ids' })
  const { client } = await startApp(t, { MONGODB_DATABASE: database, BOOTSTRAP_API_KEY: newApiKey() })
  const { status, body } = await client.with({ 'x-api-key': adminKey }).ask<{ data: Key[] }>('/api/keys')
  t.equal(status, 200)
  t.same(body.data.map(({ id }) => /^[0-9a-f]{24}$/.test(id)), [true, true])
})

t.test('data of a newer version is refused, and left as it is', async (t) => {
  const { db } = await startApp(t, { MONGODB_DATABASE: databaseName() })
  await db.collection<{ _id: string }>('migrations').insertOne({ _id: 'of-tomorrow' })
  await db.collection('apiKeys').dropIndexes()
  await t.rejects(openStore(db), { message: /newer version of Parley \(unknown: of-tomorrow\)/ })
  t.equal((await db.collection('apiKeys').indexes()).length, 1, 'no index was made')
})
