import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { connect as connectTls } from 'node:tls'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config.ts'
import { greeting } from '../../src/greeting.ts'
import { contents, isProblem, nobody } from '../edge.ts'
import { databaseName, startApp, storeUri, temporaryFolder } from '../helper.ts'

const run = promisify(execFile)
const { client, adminKey, db } = await startApp(t, { CORS_ORIGINS: 'https://app.example,https://app.example:8443' }, { bodyMs: 300 })
const { hostname, port } = new URL(client.url)

const fixed = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': 'default-src \'none\';frame-ancestors \'none\'',
  'cache-control': 'no-store'
}

/** A raw connection, and all that comes back on it until the server closes it. */
function dial (bytes: string): { socket: Socket, answered: Promise<string> } {
  const socket = connect(Number(port), hostname)
  socket.write(bytes, 'latin1')
  return { socket, answered: text(socket) }
}

const raw = async (bytes: string) => await dial(bytes).answered

t.test('every answer says what browsers and caches may do with it', async (t) => {
  const id = await client.createConfig()
  const session = await client.createSession(id)
  const asked: Array<[string, number, Parameters<typeof client.fetch>[1]?]> = [
    ['/api/configs', 200], [`/api/configs/${id}`, 304, { headers: { 'if-none-match': '*' } }], [`/api/configs/${nobody}`, 404], ['/nowhere', 404],
    ['/api/configs/%zz', 404], ['/api/configs', 401, { headers: { 'x-api-key': 'x' } }], ['/api/configs', 405, { method: 'PUT' }],
    ['/api/configs', 400, { body: '{' }], ['/api/configs', 204, { method: 'OPTIONS', headers: { origin: 'https://app.example', 'access-control-request-method': 'POST' } }],
    ['/health', 200], ['/metrics', 200], ['/openapi.json', 200], [`/api/sessions/${session}`, 204, { method: 'DELETE' }]
  ]
  for (const [path, status, request] of asked) {
    const response = await client.fetch(path, request)
    await response.body?.cancel()
    t.equal(response.status, status, path)
    t.match(Object.fromEntries(response.headers), fixed, `${path} ${status}`)
    t.notOk(response.headers.has('strict-transport-security'), 'without TLS, that is not for us to say')
    t.notOk(response.headers.has('server') || response.headers.has('x-powered-by'))
  }
  const other = await client.converse()
  const { response, events } = await client.events(`/api/sessions/${other}/messages`, { body: { message: 'Hello' } })
  await Array.fromAsync(events)
  t.match(Object.fromEntries(response.headers), { ...fixed, 'cache-control': 'no-store, no-transform', 'x-request-id': /./ }, 'a stream of events')
  const notHttp = (await raw('hello\r\n\r\n')).toLowerCase()
  for (const [name, value] of Object.entries(fixed)) t.ok(notHttp.includes(`${name}: ${value}\r\n`.toLowerCase()), `what is not HTTP: ${name}`)
})

t.test('the pages at /docs run nothing but what they bring', async (t) => {
  const page = await client.fetch('/docs/')
  const html = await page.text()
  const policy = page.headers.get('content-security-policy')!
  t.match(policy, /^default-src 'none'; /)
  t.match(policy, /frame-ancestors 'none'/)
  t.notMatch(policy, /unsafe|\*|https?:|upgrade-insecure/)
  t.notMatch(html, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:/i, 'nothing in the page itself')
  const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => new URL(path!, `${client.url}/docs/`))
  t.ok(parts.length >= 5)
  for (const url of parts) {
    t.equal(url.origin, client.url)
    const part = await client.fetch(url.pathname)
    await part.body?.cancel()
    t.equal(part.status, 200, url.pathname)
    t.equal(part.headers.get('x-content-type-options'), 'nosniff')
  }
})

t.test('only pages of the listed origins are told that they may read', async (t) => {
  for (const origin of [
    'null', '*', '', 'https://sub.app.example', 'https://app.example.evil.example', 'https://evilapp.example', 'https://app.example.', 'http://app.example',
    'HTTPS://APP.EXAMPLE', 'https://App.example', 'https://app.example/', 'https://app.example:443', 'https://app.example:8444', 'https://app.example@evil.example',
    'https://app.example, https://evil.example', 'https://evil.example https://app.example', 'https://appXexample', 'https://app.example%00.evil.example', 'file://',
    'https://xn--pp-uia.example'
  ]) {
    for (const request of [{}, { method: 'OPTIONS', headers: { 'access-control-request-method': 'POST' } }]) {
      const response = await client.fetch('/api/configs', { ...request, headers: { origin, ...request.headers } })
      await response.body?.cancel()
      t.equal(response.headers.get('access-control-allow-origin'), null, JSON.stringify(origin))
      t.equal(response.headers.get('access-control-allow-credentials'), null)
    }
  }
  for (const origin of ['https://app.example', 'https://app.example:8443']) {
    const { headers } = await client.ask('/api/configs', { headers: { origin } })
    t.equal(headers.get('access-control-allow-origin'), origin)
    t.match(headers.get('vary'), /origin/i)
  }
})

t.test('no way of writing a path or a host gets round the credential', async (t) => {
  const id = await client.createConfig()
  const paths = [
    '//api/configs', '/api//configs', '/./api/configs', '/x/../api/configs', '/api/configs/', '/api/configs/.', '/api/configs;x', '/api/;/configs', '/..;/api/configs',
    '/api%2Fconfigs', '/%61pi/configs', '/api/%63onfigs', '/api/configs%00', '/api/configs%20', '/api/configs%09', '/API/configs', '/api\\configs', '/docs/../api/configs',
    '/docs/..%2fapi/configs', '/docs/static/..%2f..%2f..%2fpackage.json', '/docs/static/%2e%2e/%2e%2e/package.json', '/health/../api/configs', '/health/..;/api/configs',
    '/health%2f..%2fapi/configs', `/api/configs/${id}/`, `/api/configs/${id}%2Fversions`, `/api/configs/${id}/..`, '/api/configs?x#y', '/api/configs#'
  ]
  const authorities = ['x', 'localhost', '127.0.0.1', 'x/?', 'x/health', 'x@y', '[::1]', `${hostname}:${port}`]
  for (const [path, host] of [
    ...paths.map((path) => [path, 'x'] as const), ...authorities.map((host) => ['/api/configs', host] as const),
    [`http://x/api/configs/${id}`, 'x'], ['http://x/health/../api/configs', 'x'], [`${client.url}/api/configs`, 'evil.example'], ['*', 'x']
  ] as const) {
    const forged = 'x-forwarded-host: y\r\nx-forwarded-for: 127.0.0.1\r\nx-original-url: /health\r\nx-rewrite-url: /health\r\nx-http-method-override: GET'
    const answer = await raw(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${forged}\r\nconnection: close\r\n\r\n`)
    const status = Number(answer.split(' ')[1])
    t.ok([400, 401, 404].includes(status), `${path} of ${host}: ${status}`)
    t.notMatch(answer, /"data"|"purpose"|"parley"[^:]*"version"/)
  }
})

t.test('TRACE tells nobody what was sent', async (t) => {
  for (const path of ['/', '/api/configs', '/health', '/docs/', '*']) {
    const answer = await raw(`TRACE ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: hunter2\r\nconnection: close\r\n\r\n`)
    t.match(answer, /^HTTP\/1\.1 40[045] /, path)
    t.notMatch(answer, 'hunter2')
  }
})

t.test('a request that two readers could end in two places is refused, and what follows it is not read', async (t) => {
  const before = await contents(db)
  const hidden = `POST /api/configs HTTP/1.1\r\nhost: x\r\nx-api-key: ${adminKey}\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{"purpose":"x"}`
  const fields: Record<string, string> = {
    'a length and chunks': 'content-length: 5\r\ntransfer-encoding: chunked',
    'chunks and a length': 'transfer-encoding: chunked\r\ncontent-length: 5',
    'two lengths': 'content-length: 5\r\ncontent-length: 6',
    'the same length twice': 'content-length: 5\r\ncontent-length: 5',
    'lengths in a list': 'content-length: 5, 6',
    'a length with a sign': 'content-length: +5',
    'a length in hexadecimal': 'content-length: 0x5',
    'a space before the colon': 'transfer-encoding : chunked',
    'a folded line': 'transfer-encoding:\r\n chunked\r\ncontent-length: 5',
    'an encoding behind chunked': 'transfer-encoding: chunked, identity',
    'an encoding that is none': 'transfer-encoding: xchunked',
    'a vertical tab': 'transfer-encoding: \x0bchunked',
    'a bare line feed': 'x: y\ntransfer-encoding: chunked\r\ncontent-length: 5',
    'a bare carriage return': 'x: y\rtransfer-encoding: chunked\r\ncontent-length: 5'
  }
  for (const [label, lines] of Object.entries(fields)) {
    const answer = await raw(`POST /api/configs HTTP/1.1\r\nhost: x\r\nx-api-key: ${adminKey}\r\ncontent-type: application/json\r\n${lines}\r\n\r\n0\r\n\r\n${hidden}`)
    t.match(answer, /^HTTP\/1\.1 400 /, label)
    t.match(answer, /\r\nconnection: close\r\n/i, label)
    t.equal(answer.split('HTTP/1.1 ').length, 2, `${label}: one answer`)
  }
  t.equal(await contents(db), before)
})

t.test('who sends slowly is not waited for', async (t) => {
  const head = `POST /api/configs HTTP/1.1\r\nhost: x\r\nx-api-key: ${adminKey}\r\ncontent-type: application/json\r\n`
  const slow = { 'nothing at all': '', 'half a line': 'GET /api', 'half a header': head, 'half a body': `${head}content-length: 30\r\n\r\n{"purp` }
  await Promise.all(Object.entries(slow).map(async ([label, bytes]) => {
    t.match(await dial(bytes).answered, /^(HTTP\/1\.1 408 .*"retryable":true.*)?$/s, label)
  }))
  t.equal((await client.ask('/health/live')).status, 200)
})

t.test('a request has so many header fields at most', async (t) => {
  const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, 'y']))
  t.equal((await client.ask('/api/configs', { headers: fields(80) })).status, 200)
  isProblem(t, await client.ask('/api/configs', { headers: fields(101) }), 'validation_failed')
})

t.test('an answer that nobody takes is not kept for ever', async (t) => {
  const database = databaseName()
  const app = await buildApp(loadConfig({ MONGODB_URI: await storeUri(), MONGODB_DATABASE: database }), { unreadMs: 200 })
  t.teardown(async () => {
    await app.mongo.client.db(database).dropDatabase()
    await app.close()
  })
  app.get('/huge', { config: { scope: 'public' }, schema: { hide: true } }, async () => Buffer.alloc(64_000_000))
  const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const connected = once(app.server, 'connection') as Promise<[Socket]>
  const reader = connect(Number(url.port), url.hostname)
  reader.on('error', () => {})
  reader.pause()
  reader.write('GET /huge HTTP/1.1\r\nhost: x\r\n\r\n')
  const [socket] = await connected
  await once(socket, 'close')
  t.pass('the connection was closed')
  reader.destroy()
})

/** A certificate for the loopback address, signed by itself. */
async function certificate (t: Test, name = 'own'): Promise<{ TLS_CERT: string, TLS_KEY: string }> {
  const folder = await temporaryFolder(t)
  const [TLS_CERT, TLS_KEY] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)]
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost', '-keyout', TLS_KEY, '-out', TLS_CERT])
  return { TLS_CERT, TLS_KEY }
}

t.test('with a certificate it speaks TLS 1.2 and newer, and tells browsers to stay with it', async (t) => {
  const files = await certificate(t)
  const { app, client } = await startApp(t, files)
  t.match(client.url, /^https:/)
  const [expiry] = (await app.metrics.getSingleMetric('tls_certificate_expiry_timestamp_seconds')!.get()).values
  t.ok(expiry!.value * 1000 - Date.now() > 23 * 3_600_000, 'what is told of it')
  const ca = await readFile(files.TLS_CERT)
  const response = await new Promise<{ status: number | undefined, hsts: unknown, body: string }>((resolve, reject) => {
    get(`${client.url}/health/live`, { ca }, (incoming) => {
      text(incoming).then((body) => resolve({ status: incoming.statusCode, hsts: incoming.headers['strict-transport-security'], body }), reject)
    }).on('error', reject)
  })
  t.match(response, { status: 200, hsts: 'max-age=31536000; includeSubDomains; preload', body: /"ok"/ })
  t.match(greeting(loadConfig({}), client.url), `${client.url}/api/configs`)
  const { port } = new URL(client.url)
  const handshake = async (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') => {
    const socket = connectTls({ port: Number(port), host: '127.0.0.1', ca, minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' })
    try {
      await once(socket, 'secureConnect')
      return socket.getProtocol()
    } catch {
      return null
    } finally {
      socket.destroy()
    }
  }
  t.same([await handshake('TLSv1.1'), await handshake('TLSv1.2'), await handshake('TLSv1.3')], [null, 'TLSv1.2', 'TLSv1.3'])
  const plain = connect(Number(port), '127.0.0.1')
  plain.write('GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n')
  t.notMatch(await text(plain).catch(() => ''), 'HTTP/1.1 200')
})

t.test('a certificate that cannot be used is refused in one line', async (t) => {
  const files = await certificate(t)
  const other = await certificate(t, 'other')
  const folder = await temporaryFolder(t)
  const nonsense = join(folder, 'nonsense.pem')
  await writeFile(nonsense, 'hunter2')
  const wrong: Array<[Record<string, string>, RegExp]> = [
    [{ TLS_CERT: files.TLS_CERT }, /^TLS_KEY must be set where TLS_CERT is\.$/],
    [{ TLS_KEY: files.TLS_KEY }, /^TLS_CERT must be set where TLS_KEY is\.$/],
    [{ ...files, TLS_KEY: join(folder, 'none') }, /^TLS_KEY cannot be used \(ENOENT\)/],
    [{ ...files, TLS_CERT: folder }, /^TLS_CERT cannot be used \(EISDIR\)/],
    [{ ...files, TLS_CERT: nonsense }, /^TLS_CERT and TLS_KEY cannot be used/],
    [{ ...files, TLS_KEY: nonsense }, /^TLS_CERT and TLS_KEY cannot be used/],
    [{ ...files, TLS_KEY: other.TLS_KEY }, /^TLS_CERT and TLS_KEY cannot be used/]
  ]
  for (const [env, message] of wrong) {
    const thrown = await t.rejects(buildApp(loadConfig(env)), { name: 'ConfigError', message })
    t.notMatch(String(thrown), /hunter2|\n/)
  }
})

interface Lock { packages: Record<string, { version: string }> }

t.test('no library is older than its last repair', async (t) => {
  const { packages } = JSON.parse(await readFile(new URL('../../package-lock.json', import.meta.url), 'utf8')) as Lock
  const least: Record<string, [number, number, number]> = {
    fastify: [5, 12, 1],
    '@fastify/proxy-addr': [5, 1, 1],
    bson: [1, 1, 4]
  }
  for (const [name, wanted] of Object.entries(least)) {
    const installed = Object.entries(packages).filter(([path]) => path.endsWith(`node_modules/${name}`)).map(([, { version }]) => version)
    t.ok(installed.length > 0, name)
    for (const version of installed) {
      const [is, must] = [version.split('.').map((part) => parseInt(part)), wanted]
      const difference = is.map((part, i) => part - must[i]!).find((part) => part !== 0) ?? 0
      t.ok(difference >= 0, `${name} ${version} is ${wanted.join('.')} or newer`)
    }
  }
  t.same(Object.keys(packages).filter((path) => /node_modules\/(@fastify\/(middie|http-proxy|multipart|busboy))$/.test(path)), [],
    'these had holes, too, and are not used')
})
