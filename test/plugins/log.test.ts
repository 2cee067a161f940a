import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { SignJWT } from 'jose'
import t from 'tap'
import { type IssuedWebhookEndpoint } from '../../schemas/webhook-endpoint.ts'
import { describeError, loggerOptions } from '../../src/logging.ts'
import { allOf, startApp } from '../helper.ts'
import { startLoopback } from '../oauth/loopback-server.ts'
import { startTestSim } from '../sim.ts'
import { startReceiver } from '../webhooks/receiver.ts'

let written = ''
const stream = new Writable({
  write (chunk, _encoding, done) {
    written += String(chunk)
    done()
  }
})
const lines = () => written.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>)

/** The line of a request, when it is there: an answer is read before the request is over. */
async function lineOf (id: string): Promise<Record<string, unknown>> {
  for (;;) {
    const line = lines().find(({ requestId, msg }) => requestId === id && msg === 'request')
    if (line) return line
    await new Promise(setImmediate)
  }
}

const canary = (name: string) => `canary-${name}-7f3a91c4`
const jwtSecret = canary('jwt-secret-of-more-than-32-bytes')
const sim = await startTestSim(t)
const receiver = await startReceiver(t)
const { app, client, clientFor, adminKey, db } = await startApp(t, {
  MISTRAL_BASE_URL: sim.url,
  MISTRAL_API_KEY: canary('model-key'),
  JWT_SECRET: jwtSecret,
  OUTGOING_ALLOWED_NETWORKS: '127.0.0.0/8',
  ENCRYPTION_KEYS: `one:${Buffer.alloc(32, 1).toString('base64')}`
}, { logger: { ...loggerOptions('trace'), stream }, webhookScheduleMs: [0] })
const operator = await clientFor('default', 'platform')
const merge = { 'content-type': 'application/merge-patch+json' }
const level = '/api/admin/log-level'
const put = async (body: object, as = operator) => await as.ask(level, { method: 'PUT', body })

t.test('a request has a line of its own, with who asked', async (t) => {
  const { headers } = await client.ask('/api/configs/0123456789abcdef01234567', { headers: { 'x-request-id': 'asked-by-key' } })
  t.equal(headers.get('x-request-id'), 'asked-by-key')
  const line = await lineOf('asked-by-key')
  t.match(line, {
    level: 'info',
    time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
    method: 'GET',
    route: '/api/configs/:id',
    status: 404,
    ms: Number,
    tenantId: 'default',
    principal: 'api-key',
    principalId: String
  })
  t.notMatch(Object.keys(line), 'turn')
  await client.with({}).ask('/api/configs', { headers: { 'x-request-id': 'asked-by-nobody' } })
  t.strictSame(Object.keys(await lineOf('asked-by-nobody')).filter((name) => /^(tenant|principal)/.test(name)), [])
})

t.test('that of a turn says what the model took', async (t) => {
  const path = `/api/sessions/${await client.converse()}/messages`
  const turn = { turn: 'completed', messageId: String, model: 'mistral-small-latest', firstTokenMs: Number, turnMs: Number, promptTokens: Number, completionTokens: Number }
  await client.ask(path, { body: { message: 'One?' }, headers: { 'x-request-id': 'whole', 'idempotency-key': 'a' } })
  t.match(await lineOf('whole'), { ...turn, attempts: 1 })
  const { events } = await client.events(path, { body: { message: 'Two?' }, headers: { 'x-request-id': 'streamed' } })
  await allOf(events)
  t.match(await lineOf('streamed'), { ...turn, attempts: 1 })
  sim.script([{ fault: { status: { code: 503 } } }])
  await client.ask(path, { body: { message: 'Three?' }, headers: { 'x-request-id': 'again' } })
  t.match(await lineOf('again'), { ...turn, attempts: 2 })
  const id = await client.createConfig()
  const session = await client.createSession(id)
  const messages = [{ role: 'user', content: 'Four?' }]
  const asOpenAi = { 'x-request-id': 'completion', 'x-session-id': session, 'idempotency-key': 'a' }
  await client.ask('/v1/chat/completions', { body: { model: id, messages }, headers: asOpenAi })
  t.match(await lineOf('completion'), { ...turn, attempts: 1 })
  await client.ask('/v1/chat/completions', { body: { model: id, messages }, headers: { ...asOpenAi, 'x-request-id': 'completion-again' } })
  await client.ask('/v1/responses', { body: { model: id, input: 'Five?' }, headers: { 'x-request-id': 'response' } })
  t.match(await lineOf('response'), { ...turn, attempts: 1 })
  await (await client.fetch('/v1/responses', { body: { model: id, input: 'Six?', stream: true }, headers: { 'x-request-id': 'response-stream' } })).text()
  t.match(await lineOf('response-stream'), { ...turn, attempts: 1 })
  await client.ask(path, { body: { message: 'One?' }, headers: { 'x-request-id': 'replayed', 'idempotency-key': 'a' } })
  t.equal((await lineOf('completion-again'))['turn'], undefined)
  t.equal((await lineOf('replayed'))['turn'], undefined, 'one that is only answered again is none')
})

t.test('a reader that leaves is told of, too', async (t) => {
  const leave = new AbortController()
  const { events } = await client.events(`/api/sessions/${await client.converse()}/events`, { signal: leave.signal, headers: { 'x-request-id': 'left' } })
  await events[Symbol.asyncIterator]().next()
  leave.abort()
  t.match(await lineOf('left'), { status: 200, route: '/api/sessions/:id/events' })
})

t.test('the level is set while the server runs, by whoever runs it', async (t) => {
  t.strictSame((await operator.ask(level)).body, { level: 'info' })
  t.equal((await put({ level: 'debug' }, await clientFor('default', 'admin'))).status, 403)
  t.equal((await put({ level: 'loud' })).status, 400)
  t.equal((await put({})).status, 400)
  t.strictSame((await put({ level: 'error' })).body, { level: 'error' })
  const before = written.length
  await client.ask('/api/configs')
  t.equal((await operator.ask(level)).body['level'], 'error')
  t.equal(written.slice(before), '')
  await put({ level: 'trace' })
  app.bus.publish('log-level', { level: 'loud' })
  t.equal((await operator.ask(level)).body['level'], 'trace', 'what another replica says is looked at')
  await client.ask('/api/configs', { headers: { 'x-request-id': 'heard' } })
  t.ok(await lineOf('heard'))
})

t.test('whatever happens, nothing secret and nothing of what people say is written', async (t) => {
  await put({ level: 'trace' })
  const config = await client.createConfig({ instructions: canary('instructions') })
  const session = await client.createSession(config, { metadata: { note: canary('metadata') } })
  const path = `/api/sessions/${session}/messages`
  const say = async (message: string, headers = {}) => await client.ask(path, { body: { message }, headers })
  const secrets = [adminKey, jwtSecret]

  // What people say, and what they are told.
  await say(canary('message'), { 'idempotency-key': canary('idempotency-key') })
  const { events } = await client.events(path, { body: { message: canary('streamed message') } })
  await allOf(events)
  await client.ask(`/api/search?q=${canary('search')}`)
  await client.ask('/v1/chat/completions', { body: { model: config, messages: [{ role: 'user', content: canary('completion') }] } })
  await client.ask(path, { body: `{"message": "${canary('broken json')}` })
  await client.ask(path, { body: { message: 1, [canary('member')]: canary('value') } })
  await client.ask(`/nothing/${canary('unknown path')}?secret=${canary('query')}`)
  await client.fetch(`/api/configs?%=${canary('bad url')}`)
  await client.fetch('/api/configs', { method: 'PATCH', body: canary('a body without a type'), headers: { 'content-type': 'text/plain', cookie: `a=${canary('cookie')}` } })

  // Credentials, right and wrong.
  const token = await new SignJWT({ scope: 'chat' }).setProtectedHeader({ alg: 'HS256' }).setSubject('somebody').setExpirationTime('1h').sign(Buffer.from(jwtSecret))
  for (const bearer of [token, `${token}x`, canary('bearer'), `pk_${'a'.repeat(8)}_${'b'.repeat(32)}`]) {
    await client.with({ authorization: `Bearer ${bearer}` }).ask('/api/sessions')
    secrets.push(bearer)
  }
  const account = { email: 'ada@example.org', password: canary('password') }
  await client.with({}).ask('/api/auth/register', { body: { ...account, tenantName: 'Ada' } })
  const { body: signIn } = await client.with({}).ask<{ accessToken?: string }>('/api/auth/login', { body: account })
  await client.with({}).ask('/api/auth/login', { body: { ...account, password: canary('wrong password') } })
  if (signIn.accessToken !== undefined) secrets.push(signIn.accessToken)
  const { body: issued } = await client.ask<{ key: string }>('/api/keys', { body: { name: 'one', scopes: ['chat'] } })
  secrets.push(issued.key)

  // Webhooks, of which one fails.
  const { body: endpoint } = await client.ask<IssuedWebhookEndpoint>('/api/webhook-endpoints', { body: { url: `${receiver.url}/hook?token=${canary('url')}` } })
  secrets.push(endpoint.secret)
  receiver.script(`/hook?token=${canary('url')}`, { status: 500, body: canary('answer of a receiver') })
  await say(canary('told message'))
  await client.ask(`/api/webhook-endpoints/${endpoint.id}/test`, { method: 'POST' })
  await receiver.next(`/hook?token=${canary('url')}`)
  await client.ask(`/api/webhook-endpoints/${endpoint.id}`, { method: 'PATCH', body: { status: 'disabled' }, headers: merge })

  // A model that fails and says what it was sent.
  sim.script([{ fault: { reset: { at: 'request' } } }, { fault: { status: { code: 500 } } }])
  await say(canary('unanswered message'))

  // Our own failures.
  await db.collection('messages').deleteMany({})
  await say(canary('message of a broken session'))
  await app.mongo.client.close()
  await say(canary('message without a store'))
  await client.ask(`/api/configs?cursor=${canary('cursor')}`)
  await client.fetch('/health')

  t.ok(lines().some(({ level }) => level === 'error'), 'errors are among it')
  t.ok(lines().length > 40, `${lines().length} lines`)
  t.notMatch(written, /canary/)
  for (const secret of secrets) t.notOk(written.includes(secret), 'no credential')
})

t.test('an error is told without what it carries along and quotes', async (t) => {
  const collection = db.collection<{ _id: string, said: string }>('log')
  await collection.insertOne({ _id: canary('id'), said: canary('document') })
  const twice = await collection.insertOne({ _id: canary('id'), said: canary('document') }).catch((error: unknown) => error)
  const many = await collection.insertMany([{ _id: canary('id'), said: canary('document') }]).catch((error: unknown) => error)
  const failures = [twice, many, new Error('outer', { cause: new Error('inner', { cause: new Error('innermost') }) }), canary('no error')]
  for (const json of [`{"a": "${canary('json')}`, canary('json'), `"${canary('json')}" and "more`]) {
    try { JSON.parse(json) } catch (error) { failures.push(error) }
  }
  const told = failures.map(describeError)
  t.notMatch(JSON.stringify(told), 'canary')
  t.match(told[0], { type: 'MongoServerError', code: 11000, stack: /^ {4}at / })
  t.match(told[2], { type: 'Error', message: 'outer', cause: { message: 'inner', cause: { message: 'innermost' } } })
  t.strictSame(told[3], { type: 'string', message: '', stack: '' })
})

t.test('a model that repeats what it was sent is not quoted', async (t) => {
  const echo = await startLoopback(t, () => (request, response) => {
    void text(request).then((body) => response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ message: body })))
  })
  const started = await startApp(t, { MISTRAL_BASE_URL: echo.url, MISTRAL_API_KEY: canary('model-key') }, { logger: { ...loggerOptions('trace'), stream } })
  const before = written.length
  await started.client.ask(`/api/sessions/${await started.client.converse()}/messages`, { body: { message: canary('echoed message') } })
  t.match(written.slice(before), 'the model failed')
  t.notMatch(written, /canary/)
})
