import t from 'tap'
import { bearer, isProblem, JWT_SECRET, nobody, pages, type SessionView } from '../edge.ts'
import { startApp, type Client } from '../helper.ts'

interface Granted { access_token: string, token_type: string, expires_in: number, scope: string }
interface Visitor { token: string, expiresAt: string, userId: string }
interface Key { id: string, key: string, prefix: string }

const { client, db, clientFor } = await startApp(t, { JWT_SECRET })
const nobodys = client.with({})
const withToken = (token: string, headers: Record<string, string> = {}) => client.with({ authorization: `Bearer ${token}`, ...headers })
const newKey = async (...scopes: string[]) => (await client.ask<Key>('/api/keys', { body: { name: 'x', scopes } })).body
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>
const form = (members: Record<string, string>, headers: Record<string, string> = {}) => ({
  body: new URLSearchParams(members).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }
})
const basic = (id: string, key: string) => ({ authorization: `Basic ${Buffer.from(`${id}:${key}`).toString('base64')}` })
const grant = { grant_type: 'client_credentials' }

t.test('an API key is exchanged for a token, wherever the client shows it', async (t) => {
  const { id, key, prefix } = await newKey('configs:read', 'sessions:read')
  const ways: Record<string, Parameters<Client['ask']>[1]> = {
    'the body, as a form': form({ ...grant, client_id: id, client_secret: key }),
    'the body, as JSON': { body: { ...grant, client_secret: key } },
    bearer: form(grant, { authorization: `Bearer ${key}` }),
    'basic, by its id': form(grant, basic(id, key)),
    'basic, by its prefix': form(grant, basic(prefix, key)),
    'X-API-Key': { body: grant, headers: { 'x-api-key': key } }
  }
  for (const [label, request] of Object.entries(ways)) {
    const { status, headers, body } = await nobodys.ask<Granted>('/api/auth/token', request)
    t.equal(status, 200, label)
    t.match(body, { access_token: /^[\w-]+\.[\w-]+\.[\w-]+$/, token_type: 'Bearer', scope: 'configs:read sessions:read' })
    t.ok(body.expires_in > 890 && body.expires_in <= 900)
    t.equal(headers.get('cache-control'), 'no-store')
    t.equal((await withToken(body.access_token).ask('/api/configs')).status, 200)
    isProblem(t, await withToken(body.access_token).ask('/api/configs', { body: { purpose: 'No.' } }), 'forbidden')
  }
})

t.test('a token covers what is asked for, and no more than its key', async (t) => {
  const { key } = await newKey('configs:read', 'chat')
  const ask = async (scope: string) => await nobodys.ask<Granted>('/api/auth/token', form({ ...grant, scope, client_secret: key }))
  const { body } = await ask('configs:read')
  t.equal(body.scope, 'configs:read')
  t.match(claimsOf(body.access_token), { scope: 'configs:read', use: 'access', tid: 'default', exp: Number, iat: Number })
  isProblem(t, await ask('configs:read admin'), 'forbidden')
  isProblem(t, await ask('root'), 'forbidden')
  const all = await nobodys.ask<Granted>('/api/auth/token', form({ ...grant, scope: 'configs:read', client_secret: (await newKey('admin')).key }))
  t.equal(all.status, 200, 'admin covers it')
  const { body: own } = await ask('chat')
  isProblem(t, await withToken(own.access_token).ask('/api/sessions'), 'forbidden', 'a key has no sessions of its own')
})

t.test('who is no client, or asks in another way, gets nothing', async (t) => {
  const { id, key } = await newKey('configs:read')
  const { id: other } = await newKey('configs:read')
  const unknown: Record<string, Parameters<Client['ask']>[1]> = {
    nothing: form(grant),
    'another id': form({ ...grant, client_id: other, client_secret: key }),
    'basic without a colon': form(grant, { authorization: `Basic ${Buffer.from(key).toString('base64')}` }),
    'basic by another id': form(grant, basic(nobody, key)),
    'another scheme': form(grant, { authorization: `Digest ${key}` }),
    'a JWT': form(grant, { authorization: `Bearer ${(await nobodys.ask<Granted>('/api/auth/token', form({ ...grant, client_secret: key }))).body.access_token}` }),
    'a good key behind a bad header': form({ ...grant, client_id: id, client_secret: key }, { authorization: 'Bearer x' })
  }
  for (const [label, request] of Object.entries(unknown)) {
    const answer = await nobodys.ask('/api/auth/token', request)
    isProblem(t, answer, 'unauthenticated', label)
    t.match(answer.headers.get('www-authenticate'), /^(Basic|Bearer) realm="parley"$/)
  }
  for (const members of [{}, { grant_type: 'password' }, { ...grant, scope: 'a  b' }, { ...grant, username: 'x' }] as Record<string, string>[]) {
    isProblem(t, await nobodys.ask('/api/auth/token', form({ ...members, client_secret: key })), 'validation_failed', JSON.stringify(members))
  }
  const twice = { ...form(grant), body: `grant_type=client_credentials&client_secret=${key}&client_secret=${key}` }
  isProblem(t, await nobodys.ask('/api/auth/token', twice), 'validation_failed', 'twice')
  isProblem(t, await nobodys.ask('/api/auth/token', { ...twice, body: 'x'.repeat(4097) }), 'payload_too_large')
  isProblem(t, await client.ask('/api/configs', form({ purpose: 'x' })), 'unsupported_media_type', 'a form is taken here only')
})

t.test('what is made with a key dies with it', async (t) => {
  const { id, key } = await newKey('configs:read', 'sessions:write')
  const { body } = await nobodys.ask<Granted>('/api/auth/token', form({ ...grant, scope: 'configs:read', client_secret: key }))
  const configId = await client.createConfig()
  const visitor = await nobodys.ask<Visitor>('/api/visitor-tokens', { body: { configId, visitorId: 'v' }, headers: { 'x-api-key': key } })
  t.equal((await withToken(body.access_token).ask('/api/configs')).status, 200)
  t.equal((await withToken(visitor.body.token).ask('/api/sessions')).status, 200)
  await client.ask(`/api/keys/${id}`, { method: 'DELETE' })
  isProblem(t, await withToken(body.access_token).ask('/api/configs'), 'unauthenticated')
  isProblem(t, await withToken(visitor.body.token).ask('/api/sessions'), 'unauthenticated')
})

t.test('a key and its tokens count together', async (t) => {
  const { client, clientFor } = await startApp(t, { RATE_LIMIT_PER_MINUTE: '50' })
  const admin = await clientFor('acme', 'admin')
  const { body: { key } } = await admin.ask<Key>('/api/keys', { body: { name: 'x', scopes: ['configs:read'], requestsPerMinute: 10 } })
  await client.with({ 'x-api-key': key }).ask('/api/configs')
  for (const remaining of ['8', '7']) {
    const { body } = await client.with({}).ask<Granted>('/api/auth/token', form({ ...grant, client_secret: key }))
    const { headers } = await client.with({ authorization: `Bearer ${body.access_token}` }).ask('/api/configs')
    t.equal(headers.get('ratelimit-remaining'), remaining)
  }
})

t.test('a visitor talks to one chatbot, in sessions of their own', async (t) => {
  const [configId, elsewhere] = [await client.createConfig(), await client.createConfig()]
  const server = await clientFor('default', 'sessions:write')
  const { status, body } = await server.ask<Visitor>('/api/visitor-tokens', { body: { configId, visitorId: 'customer 17' } })
  t.equal(status, 201)
  t.equal(body.userId, `visitor:${configId}:customer 17`)
  t.ok(Math.abs(new Date(body.expiresAt).getTime() - Date.now() - 3_600_000) < 5000)
  const visitor = withToken(body.token)
  const id = await visitor.createSession(configId)
  t.equal((await visitor.ask(`/api/sessions/${id}/messages`, { body: { message: 'Hello?' } })).status, 200)
  t.match((await client.ask(`/api/sessions/${id}`)).body, { userId: body.userId, configId })

  isProblem(t, await visitor.ask('/api/sessions', { body: { configId: elsewhere } }), 'not_found', 'another chatbot')
  isProblem(t, await visitor.ask('/api/sessions', { body: { configId, userId: 'anna' } }), 'forbidden', 'somebody else')
  for (const path of ['/api/configs', `/api/configs/${configId}`, '/api/keys', '/api/events']) isProblem(t, await visitor.ask(path), 'forbidden', path)
  isProblem(t, await visitor.ask('/api/visitor-tokens', { body: { configId, visitorId: 'x' } }), 'forbidden')

  const others: string[] = []
  for (const input of [{ configId, visitorId: 'customer 18' }, { configId: elsewhere, visitorId: 'customer 17' }]) {
    const other = withToken((await server.ask<Visitor>('/api/visitor-tokens', { body: input })).body.token)
    others.push(await other.createSession(input.configId))
    isProblem(t, await other.ask(`/api/sessions/${id}`), 'not_found')
    isProblem(t, await other.ask(`/api/sessions/${id}/messages`, { body: { message: 'Mine?' } }), 'not_found')
  }
  others.push(await client.createSession(configId), await client.createSession(configId, { userId: 'customer 17' }))
  for (const other of others) isProblem(t, await visitor.ask(`/api/sessions/${other}`), 'not_found')
  t.same((await pages<SessionView>(visitor, '/api/sessions', 10)).flat().map((session) => session.id), [id])
  const again = withToken((await server.ask<Visitor>('/api/visitor-tokens', { body: { configId, visitorId: 'customer 17' } })).body.token)
  t.equal((await again.ask(`/api/sessions/${id}`)).status, 200, 'the same visitor comes back')
})

t.test('a token that is bound to a page is taken from there only', async (t) => {
  const configId = await client.createConfig()
  const input = { configId, visitorId: 'v', origin: 'https://Shop.example:443', ttlSeconds: 60 }
  const { body } = await client.ask<Visitor>('/api/visitor-tokens', { body: input })
  t.equal((await withToken(body.token, { origin: 'https://shop.example' }).ask('/api/sessions')).status, 200)
  for (const headers of [{}, { origin: 'https://shop.example.evil' }, { origin: 'http://shop.example' }, { origin: 'null' }] as Record<string, string>[]) {
    isProblem(t, await withToken(body.token, headers).ask('/api/sessions'), 'forbidden', JSON.stringify(headers))
  }
})

t.test('visitors are let in by a key, to a chatbot of its tenant', async (t) => {
  const configId = await client.createConfig()
  const input = { configId, visitorId: 'v' }
  isProblem(t, await bearer(client, { sub: 'anna', scope: 'admin' }).ask('/api/visitor-tokens', { body: input }), 'forbidden')
  isProblem(t, await (await clientFor('other', 'admin')).ask('/api/visitor-tokens', { body: input }), 'not_found')
  isProblem(t, await client.ask('/api/visitor-tokens', { body: { ...input, configId: nobody } }), 'not_found')
  for (const wrong of [{ visitorId: ' ' }, { visitorId: 'x'.repeat(161) }, { ttlSeconds: 59 }, { ttlSeconds: 86_401 }, { origin: 'shop.example' },
    { origin: 'https://shop.example/' }, { origin: '*' }, { scope: 'admin' }, { configId: 'x' }]) {
    isProblem(t, await client.ask('/api/visitor-tokens', { body: { ...input, ...wrong } }), 'validation_failed', JSON.stringify(wrong))
  }
})

t.test('a server without a key to sign with says so', async (t) => {
  const { client } = await startApp(t, { NODE_ENV: 'production', ALLOW_PLAINTEXT: 'database' })
  const configId = await client.createConfig()
  for (const [path, body] of [['/api/auth/token', grant], ['/api/visitor-tokens', { configId, visitorId: 'v' }]] as const) {
    const answer = await client.ask(path, { body })
    isProblem(t, answer, 'not_found', path)
    t.match(answer.body['detail'], /JWT_SECRET/)
  }
  t.equal((await client.ask<{ keys: unknown[] }>('/.well-known/jwks.json')).body.keys.length, 0)
  t.equal(await db.collection('idempotencyRecords').countDocuments({}), 0, 'no answer with a secret is kept')
})
