import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { request, type IncomingHttpHeaders } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { type FastifyInstance, type RouteOptions } from 'fastify'
import t from 'tap'
import { isCompressed } from '../../plugins/compression.ts'
import { startApp } from '../helper.ts'

const compressed = new Map<string, boolean>()
const look = (message: unknown) => {
  const { fastify } = message as { fastify: FastifyInstance }
  fastify.addHook('onRoute', (route: RouteOptions) => {
    for (const method of [route.method].flat()) compressed.set(`${method} ${route.url}`, isCompressed(route))
  })
}
subscribe('fastify.initialization', look)

const { client, adminKey } = await startApp(t, { CORS_ORIGINS: 'https://chat.example' })
unsubscribe('fastify.initialization', look)
const instructions = 'Orders ship within two days. Returns are free for 30 days. '.repeat(40)
const configId = await client.createConfig({ instructions })
const sessionId = await client.createSession(configId)
const messages = `/api/sessions/${sessionId}/messages`
for (let i = 0; i < 12; i++) await client.ask(messages, { body: { message: `When does order ${i} ship? ${'It is urgent, and I have asked before. '.repeat(12)}` } })

interface Raw {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
}

/** What comes over the socket, as it comes. */
async function ask (path: string, headers: Record<string, string> = {}, { method, body }: { method?: string, body?: unknown } = {}): Promise<Raw> {
  const text = body === undefined ? '' : JSON.stringify(body)
  const asked = request(client.url + path, {
    method: method ?? (text === '' ? 'GET' : 'POST'),
    headers: { 'x-api-key': adminKey, ...(text !== '' && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }), ...headers }
  })
  const { promise, resolve, reject } = Promise.withResolvers<Raw>()
  asked.on('error', reject).on('response', (response) => {
    buffer(response).then((bytes) => resolve({ status: response.statusCode, headers: response.headers, bytes }), reject)
  })
  asked.end(text)
  return await promise
}

const unpack = ({ headers, bytes }: Raw): string => {
  const encoding = headers['content-encoding']
  return String(encoding === 'br' ? brotliDecompressSync(bytes) : encoding === 'gzip' ? gunzipSync(bytes) : bytes)
}

t.test('a long answer is compressed for those who take it, as they like it best', async (t) => {
  const plain = await ask(messages)
  t.ok(plain.bytes.length > 8192)
  t.equal(plain.headers['content-encoding'], undefined)
  for (const [accepted, encoding] of [
    ['gzip', 'gzip'], ['br', 'br'], ['GZIP', 'gzip'], ['gzip, deflate', 'gzip'], ['deflate, br, gzip', 'br'], ['gzip;q=0.2, br;q=0.1', 'gzip'], ['*', 'br'],
    ['br;q=0, *', 'gzip'], ['identity;q=0, gzip', 'gzip'],
    ['identity', undefined], ['gzip;q=0', undefined], ['*;q=0', undefined], ['identity, gzip;q=0.5', undefined], ['zstd', undefined], ['', undefined], [';;,q=,', undefined]
  ] as const) {
    const answer = await ask(messages, { 'accept-encoding': accepted })
    t.equal(answer.headers['content-encoding'], encoding, accepted)
    t.equal(Number(answer.headers['content-length']), answer.bytes.length)
    t.equal(answer.headers.vary, 'Origin, accept-encoding', 'besides what else it varies by')
    t.equal(unpack(answer), String(plain.bytes))
    if (encoding !== undefined) t.ok(answer.bytes.length < plain.bytes.length / 5, `${answer.bytes.length} of ${plain.bytes.length} bytes`)
  }
})

t.test('one that is not so long is compressed at once, and a short one not at all', async (t) => {
  const page = await ask(`${messages}?limit=2`, { 'accept-encoding': 'gzip' })
  t.ok(unpack(page).length < 8192)
  t.equal(page.headers['content-encoding'], 'gzip')
  t.match(JSON.parse(unpack(page)), { data: [{ role: 'user' }, { role: 'bot' }] })
  for (const path of ['/api/legal-holds', '/api/nothing', `/api/sessions/${configId}`]) {
    const { headers } = await ask(path, { 'accept-encoding': 'gzip' })
    t.equal(headers['content-encoding'], undefined, path)
    t.notMatch(String(headers.vary), 'accept-encoding', path)
  }
})

t.test('HEAD tells what GET does', async (t) => {
  const got = await ask(messages, { 'accept-encoding': 'gzip' })
  const told = await ask(messages, { 'accept-encoding': 'gzip' }, { method: 'HEAD' })
  t.equal(told.bytes.length, 0)
  for (const name of ['content-length', 'content-encoding', 'content-type', 'vary'] as const) t.equal(told.headers[name], got.headers[name], name)
})

t.test('a configuration comes as it is, so that its strong ETag names its bytes, and can be sent back', async (t) => {
  const path = `/api/configs/${configId}`
  const found = await ask(path, { 'accept-encoding': 'gzip, br' })
  t.ok(found.bytes.length > 1024)
  t.equal(found.headers['content-encoding'], undefined)
  const { etag } = found.headers
  t.match(etag, /^"/)
  const unchanged = await ask(path, { 'accept-encoding': 'gzip', 'if-none-match': etag! })
  t.match(unchanged, { status: 304, headers: { etag } })
  t.equal(unchanged.bytes.length, 0)
  const changed = await ask(path, { 'accept-encoding': 'gzip', 'if-match': etag!, 'content-type': 'application/merge-patch+json' }, { method: 'PATCH', body: { name: 'Shop' } })
  t.equal(changed.status, 200)
  t.equal((await ask('/api/configs', { 'accept-encoding': 'gzip' })).headers['content-encoding'], 'gzip', 'a list of them has none')
})

t.test('a reply is compressed where it is long, and a repeat of it, too', async (t) => {
  const session = await client.createSession(configId)
  const body = { message: 'When does it ship? '.repeat(100) }
  const headers = { 'accept-encoding': 'gzip', 'idempotency-key': 'once' }
  const replies = [await ask(`/api/sessions/${session}/messages`, headers, { body }), await ask(`/api/sessions/${session}/messages`, headers, { body })]
  for (const reply of replies) t.equal(reply.headers['content-encoding'], 'gzip')
  t.equal(unpack(replies[1]!), unpack(replies[0]!))

  const brief = { brief: 'A bot for an online shop that answers when orders ship. '.repeat(30) }
  const kept = [await ask('/api/specifications', headers, { body: brief }), await ask('/api/specifications', { 'idempotency-key': 'once' }, { body: brief })]
  t.match(kept, [{ status: 201, headers: { 'content-encoding': 'gzip' } }, { status: 201, headers: { 'idempotency-replayed': 'true' } }])
  t.equal(unpack(kept[1]!), unpack(kept[0]!), 'what is kept for a repeat is the text')
})

t.test('clients of OpenAI get long answers compressed', async (t) => {
  const vectors = await ask('/v1/embeddings', { 'accept-encoding': 'gzip' }, { body: { model: 'mistral-embed', input: 'A text.' } })
  t.match(vectors, { status: 200, headers: { 'content-encoding': 'gzip' } })
  t.match(JSON.parse(unpack(vectors)), { data: [{ object: 'embedding' }] })
})

t.test('streams go out as they come, and text that is no JSON as it is', async (t) => {
  const accepting = { 'accept-encoding': 'gzip, br, *' }
  const events = await ask(`${messages}`, { ...accepting, accept: 'text/event-stream' }, { body: { message: 'When? '.repeat(300) } })
  t.match(events.headers, { 'content-type': /event-stream/ })
  t.equal(events.headers['content-encoding'], undefined)
  t.match(String(events.bytes), /^event: message\.completed$/m)
  for (const path of ['/api/export', '/metrics']) {
    const answer = await ask(path, accepting)
    t.equal(answer.status, 200)
    t.ok(answer.bytes.length > 1024)
    t.equal(answer.headers['content-encoding'], undefined, path)
  }
})

interface Schema {
  readonly $ref?: string
  readonly type?: string | string[]
  readonly properties?: Record<string, Schema>
  readonly items?: Schema
  readonly anyOf?: Schema[]
  readonly allOf?: Schema[]
  readonly oneOf?: Schema[]
}
interface Document {
  readonly paths: Record<string, Record<string, { readonly responses: Record<string, { $ref?: string, content?: Record<string, { schema: Schema }> }> }>>
}

t.test('no answer with a secret in it is compressed', async (t) => {
  const answer = await ask('/openapi.json', { 'accept-encoding': 'gzip' })
  t.equal(answer.headers['content-encoding'], 'gzip', 'the document has none')
  const document = JSON.parse(unpack(answer)) as Document & Record<string, unknown>
  const find = <T extends { readonly $ref?: string }>(value: T): T => value.$ref === undefined
    ? value
    : find(value.$ref.split('/').slice(1).reduce<unknown>((whole, name) => (whole as Record<string, unknown>)[name], document) as T)
  const isText = ({ type, anyOf = [] }: Schema): boolean => [type].flat().includes('string') || anyOf.some(isText)
  function secretsIn (schema: Schema, seen: ReadonlySet<Schema> = new Set()): string[] {
    const { properties = {}, items, anyOf = [], allOf = [], oneOf = [] } = schema = find(schema)
    if (seen.has(schema)) return []
    const known = new Set([...seen, schema])
    return [
      ...Object.entries(properties).filter(([name, value]) => /secret$|passw|token$|key$/i.test(name) && isText(find(value))).map(([name]) => name),
      ...[...Object.values(properties), ...(items ? [items] : []), ...anyOf, ...allOf, ...oneOf].flatMap((part) => secretsIn(part, known))
    ]
  }
  const found: string[] = []
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [name, { responses }] of Object.entries(operations)) {
      const secrets = Object.entries(responses).filter(([status]) => status < '300').flatMap(([, response]) => (
        Object.values(find(response).content ?? {}).flatMap(({ schema }) => secretsIn(schema))
      ))
      const operation = `${name.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`
      t.ok(compressed.has(operation), operation)
      if (secrets.length === 0) continue
      found.push(operation)
      t.equal(compressed.get(operation), false, `${operation}: ${secrets.join()}`)
    }
  }
  for (const known of ['POST /api/keys', 'POST /api/auth/login', 'POST /api/webhook-endpoints', 'GET /api/auth/oauth/:provider/callback']) t.ok(found.includes(known), known)

  const made = await ask('/api/keys', { 'accept-encoding': 'gzip' }, { body: { name: 'x'.repeat(100), scopes: ['chat'] } })
  t.match(made, { status: 201 })
  t.equal(made.headers['content-encoding'], undefined)
})
