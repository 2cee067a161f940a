import t from 'tap'
import { MAX_EXPORT_BYTES } from '../../schemas/config-export.ts'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { databaseName, startApp, storeUri, temporaryFolder } from '../helper.ts'
import { record } from '../traffic/recorder.ts'
import { type Operation } from './document.ts'
import { each } from './each.ts'
import { assembled, validParts } from './requests.ts'
import { type Asked, type Heard, Wire } from './wire.ts'
import { ask, description, nothingCameOut, operations, owner, place } from './world.ts'

const requestOf = (operation: Operation) => assembled(operation, validParts(description, operation, place))

/** What operations answer other than what the document says they do, where it says so. */
async function strangers (status: number, asked: readonly Operation[], answer: (request: Asked, operation: Operation) => Promise<Pick<Heard, 'status' | 'text'>>) {
  const documented = asked.filter(({ responses }) => status in responses)
  const wrong = await each(documented, async (operation) => {
    const heard = await answer(requestOf(operation), operation)
    return heard.status === status ? [] : [`${operation.id}: ${heard.status} ${heard.text.slice(0, 200)}`]
  })
  return wrong.flat()
}

t.test('bodies that are too large, or compressed, are told so by each operation that says so', async (t) => {
  const bodyOf = (length: number) => `"${'x'.repeat(length)}"`
  t.strictSame(await strangers(413, operations, async (request, { id }) =>
    await ask(owner, { ...request, body: bodyOf(id === 'importConfig' ? MAX_EXPORT_BYTES : 262_144) })), [])
  const headers = { 'content-encoding': 'gzip' }
  t.strictSame(await strangers(415, operations, async (request) => await ask(owner, { ...request, body: '{}', headers: { ...request.headers, ...headers } })), [])
})

t.test('each refuses a query that it does not know', async (t) => {
  t.strictSame(await strangers(400, operations, async (request) => await ask(owner, { ...request, path: `${request.path}${request.path.includes('?') ? '&' : '?'}wrong=1` })), [])
})

const others: Readonly<Record<string, (body: object) => object>> = {
  createInvitation: (body) => ({ ...body, email: 'another@example.org' }),
  createLegalHold: (body) => ({ ...body, reason: 'Another' }),
  createSession: (body) => ({ ...body, title: 'Another' }),
  createSpecification: () => ({ brief: 'Another bot for parcels.' }),
  importConfig: (body) => ({ ...body, config: { ...(body as { config: object }).config, name: 'Another' } })
}

t.test('each that makes something once for a key refuses the key with another body', async (t) => {
  // Those that begin a turn have tests of their own.
  const idempotent = operations.filter(({ parameters, path }) => !/messages|webhook|v1/.test(path) && parameters.some(({ name }) => name === 'idempotency-key'))
  t.ok(idempotent.length > 4)
  t.strictSame(await strangers(422, idempotent, async (request, { id }) => {
    const headers = { ...request.headers, 'idempotency-key': id }
    await ask(owner, { ...request, headers })
    const body = JSON.parse(request.body!) as object
    return await ask(owner, { ...request, headers, body: JSON.stringify(others[id]?.(body) ?? { ...body, name: 'Another' }) })
  }), [])
})

t.test('a server that cannot sign has no accounts', async (t) => {
  const { client } = await startApp(t, { NODE_ENV: 'production', RATE_LIMIT_IP: '0' })
  const wire = new Wire(client.url)
  t.teardown(async () => await wire.close())
  const ofAccounts = operations.filter(({ id, path }) => /^\/api\/(auth|invitations)\b/.test(path) && id !== 'grantToken')
  t.ok(ofAccounts.length > 15)
  t.strictSame(await strangers(404, ofAccounts, async (request) => await wire.ask(request)), [])
})

t.test('who asks too often is told so by each', async (t) => {
  const { client } = await startApp(t, { RATE_LIMIT_IP: '1', RATE_LIMIT_INTEGRATION: '1' })
  const wire = new Wire(client.url)
  t.teardown(async () => await wire.close())
  await wire.ask({ method: 'GET', path: '/api/configs' })
  t.strictSame(await strangers(429, operations, async (request) => await wire.ask(request)), [])
})

t.test('without its store, each that asks it says so', async (t) => {
  const store = await startEmbeddedStore({ dataDir: await temporaryFolder(t) })
  const { client, adminKey } = await startApp(t, { MONGODB_URI: store.uri })
  const wire = new Wire(client.url)
  t.teardown(async () => await wire.close())
  await store.close()
  // A cookie tells its token itself, and there is no provider here.
  const asking = operations.filter(({ id, path }) => id !== 'getCsrfToken' && !path.startsWith('/api/auth/oauth/'))
  t.strictSame(await strangers(503, asking, async (request, { scopes }) =>
    await wire.ask({ ...request, headers: { ...request.headers, ...((scopes.length > 0 || request.byKey) && { 'x-api-key': adminKey }) } })), [])
})

t.test('a fault of the server is told by each as one, and no more of it', async (t) => {
  const app = await buildApp(loadConfig({ MONGODB_URI: await storeUri(), MONGODB_DATABASE: databaseName() }))
  t.teardown(async () => {
    await app.mongo.db!.dropDatabase()
    await app.close()
  })
  record(app)
  app.addHook('onRequest', async () => { throw new TypeError('canary') })
  const wire = new Wire(await app.listen({ port: 0, host: '127.0.0.1' }))
  t.teardown(async () => await wire.close())
  t.strictSame(await strangers(500, operations, async (request) => {
    const { status, text } = await wire.ask(request)
    return { status: text.includes('canary') ? 0 : status, text }
  }), [])
})

t.test('nothing came out', async (t) => { await nothingCameOut(t) })
