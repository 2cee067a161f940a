import { once } from 'node:events'
import { METHODS, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { answerClientError } from '../../plugins/client-error.ts'
import { contents, isProblem, nobody } from '../edge.ts'
import { startApp } from '../helper.ts'

const LIMIT = 4096
const { app, client, adminKey, db } = await startApp(t, { BODY_LIMIT_BYTES: String(LIMIT) })
const { hostname, port } = new URL(client.url)

/** What comes back on a raw connection, until the server closes it. */
async function raw (...parts: string[]): Promise<{ status: number, head: string, body: string }> {
  const socket = connect(Number(port), hostname)
  for (const part of parts) socket.write(part, 'latin1')
  const answer = await text(socket)
  const [head = '', ...body] = answer.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head: head.toLowerCase(), body: body.join('\r\n\r\n') }
}

const isAlive = async (t: Test, label: string) => t.equal((await client.ask('/health/live')).status, 200,
  `it lives after ${label}`)

t.test('a failure is told the same way everywhere', async (t) => {
  isProblem(t, await client.ask('/nowhere'), 'not_found', 'an unknown path')
  isProblem(t, await client.ask('/'), 'not_found')
  isProblem(t, await client.ask('/api/configs/'), 'not_found', 'a slash too many')
  isProblem(t, await client.ask('/API/configs'), 'not_found', 'paths are case-sensitive')
  isProblem(t, await client.ask(`/api/configs/${nobody}`), 'not_found')
  const unknown = await client.ask('/nowhere?secret=1#x')
  t.equal(unknown.body['instance'], '/nowhere', 'the query may hold a secret')
  const invalid = await client.ask('/api/configs', { body: { purpose: 'x', model: { temperature: 2 } } })
  isProblem(t, invalid, 'validation_failed')
  t.match(invalid.body, {
    detail: 'The body does not fit: /model/temperature must be <= 1.5.',
    errors: [{ path: '/model/temperature' }]
  })
  t.match((await client.ask('/api/configs', { body: {} })).body,
    { errors: [{ path: '/purpose', message: 'must have required property \'purpose\'' }] })
  t.match((await client.ask('/api/sessions?limit=0')).body, { detail: 'The query does not fit: /limit must be >= 1.' })
  const header = await client.ask(`/api/configs/${nobody}`, { headers: { 'if-none-match': 'x'.repeat(1001) } })
  isProblem(t, header, 'validation_failed', 'a header that is too long')
})

t.test('a path that knows other methods says which', async (t) => {
  const ask = async (method: string, path: string) => {
    const outgoing = httpRequest(client.url + path, { method, headers: { 'x-api-key': adminKey } }).end()
    const response = (await once(outgoing, 'response') as [IncomingMessage])[0]
    const body = await text(response)
    return {
      status: response.statusCode,
      allow: response.headers.allow,
      body: body === '' ? {} : JSON.parse(body) as object
    }
  }
  const known = {
    '/api/configs': 'GET, HEAD, POST',
    [`/api/configs/${nobody}`]: 'DELETE, GET, HEAD, PATCH, PUT',
    '/health': 'GET, HEAD'
  }
  for (const [path, allow] of Object.entries(known)) {
    // CONNECT asks for a tunnel: Node closes the connection.
    for (const method of METHODS.filter((method) => method !== 'CONNECT' && !allow.split(', ').includes(method))) {
      t.match(await ask(method, path), {
        status: 405,
        allow,
        body: method === 'HEAD' ? {} : { code: 'method_not_allowed' }
      }, `${method} ${path}`)
    }
  }
  t.match(await ask('PROPFIND', '/nowhere'), { status: 404 })
  t.match(await ask('HEAD', `/api/sessions/${nobody}/messages/${nobody}/stream`), { status: 405, allow: 'GET' },
    'a stream has no head to ask for')
  isProblem(t, await client.ask('/api/configs', { method: 'PUT', body: '{' }), 'method_not_allowed',
    'the body is not even read')
  isProblem(t, await client.with({}).ask('/api/configs', { method: 'PUT' }), 'method_not_allowed',
    'without a credential')
})

t.test('HEAD answers as GET does, without a body', async (t) => {
  const id = await client.createConfig()
  for (const path of ['/api/configs', `/api/configs/${id}`, '/api/sessions', '/health', '/openapi.json',
    `/api/configs/${nobody}`, '/nowhere', '/api/configs?limit=0']) {
    const [head, get] = [await client.fetch(path, { method: 'HEAD' }), await client.fetch(path)]
    t.equal(await head.text(), '')
    await get.body?.cancel()
    t.equal(head.status, get.status, path)
    for (const name of ['content-type', 'etag']) {
      t.equal(head.headers.get(name), get.headers.get(name),
      `${path} ${name}`)
    }
  }
  t.equal((await client.with({}).fetch('/api/configs', { method: 'HEAD' })).status, 401)
})

t.test('a body is JSON, and says so', async (t) => {
  const post = async (type: string | null, body: string | Uint8Array<ArrayBuffer> = '{"purpose":"x"}') => {
    const headers = { 'x-api-key': adminKey, ...(type !== null && { 'content-type': type }) }
    const response = await fetch(`${client.url}/api/configs`, { method: 'POST', headers, body })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }
  for (const type of [
    'application/json', ' application/json', '\tapplication/json ', 'Application/JSON', 'application/json;charset=utf-8', 'application/json; charset="UTF-8"', 'application/json ; x=y'
  ]) t.equal((await post(type)).status, 201, JSON.stringify(type))
  const before = await contents(db)
  for (const type of [
    'text/plain', 'text/json', 'application/jsonp', 'application/json+x', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml',
    'application/octet-stream', 'json', 'application', '/', '*/*', 'application/json, text/plain', 'text/plain; application/json', 'application/ json'
  ]) isProblem(t, await post(type), 'unsupported_media_type', type)
  isProblem(t, await post(null, new TextEncoder().encode('{"purpose":"x"}')), 'unsupported_media_type', 'no type')
  t.equal(await contents(db), before)
  t.equal((await post('application/json', '\ufeff{"purpose":"x"}')).status, 201, 'a byte order mark')
  isProblem(t, await client.ask('/api/configs', { method: 'POST' }), 'validation_failed', 'nothing at all')
})

t.test('a body that is too large is refused, declared or not', async (t) => {
  const padded = (bytes: number) => '{"purpose":"x"}'.padEnd(bytes)
  t.equal((await client.ask('/api/configs', { body: padded(LIMIT) })).status, 201, 'just as large as it may be')
  const before = await contents(db)
  isProblem(t, await client.ask('/api/configs', { body: padded(LIMIT + 1) }), 'payload_too_large', 'declared')
  const head = `POST /api/configs HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: ${adminKey}\r\ncontent-type: application/json\r\n`
  const chunk = `400\r\n${' '.repeat(0x400)}\r\n`
  const chunked = await raw(`${head}transfer-encoding: chunked\r\n\r\n`, chunk.repeat(5), '0\r\n\r\n')
  t.match({ status: chunked.status, body: JSON.parse(chunked.body) as object },
    { status: 413, body: { code: 'payload_too_large' } }, 'chunked')
  const announced = await raw(`${head}content-length: 99999999999\r\n\r\n`)
  t.match({ status: announced.status, body: JSON.parse(announced.body) as object },
    { status: 413, body: { code: 'payload_too_large' } }, 'announced, not sent')
  isProblem(t, await client.with({}).ask('/api/configs', { body: padded(LIMIT + 1) }), 'unauthenticated',
    'who asks comes first')
  t.equal(await contents(db), before)
  await isAlive(t, 'that')
})

t.test('what is not HTTP gets a problem document and a closed connection', async (t) => {
  const wrong: Record<string, [string, number]> = {
    'no request line': ['hello\r\n\r\n', 400],
    'no method of HTTP': ['FOO /api/configs HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    'a version that is none': ['GET / HTTP/9.9\r\nhost: x\r\n\r\n', 400],
    'a path with a raw byte': ['GET /api/\xff HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    'no path': ['GET ?a=b HTTP/1.1\r\nhost: x\r\n\r\n', 400],
    'a header without a name': ['GET / HTTP/1.1\r\nhost: x\r\n: y\r\n\r\n', 400],
    'a header with NUL': ['GET / HTTP/1.1\r\nhost: x\r\na: \0\r\n\r\n', 400],
    'two lengths': ['POST /api/configs HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab', 400],
    'a length that is none': ['POST /api/configs HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n', 400],
    'length and chunks': ['POST /api/configs HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc', 400],
    'a TLS handshake': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    'a huge header': [`GET / HTTP/1.1\r\nhost: x\r\na: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    'a huge path': [`GET /${'a'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431]
  }
  for (const [label, [bytes, status]] of Object.entries(wrong)) {
    const answer = await raw(bytes)
    t.equal(answer.status, status, label)
    t.match(answer.head, 'content-type: application/problem+json', label)
    const problem = JSON.parse(answer.body) as Record<string, unknown>
    t.match(problem, {
      type: String,
      title: String,
      status,
      code: 'validation_failed',
      detail: String,
      instance: '',
      requestId: String,
      retryable: false
    }, label)
    t.match(answer.head, `x-request-id: ${String(problem['requestId'])}`)
    t.equal(Number(/content-length: (\d+)/.exec(answer.head)?.[1]), Buffer.byteLength(answer.body))
  }
  t.equal((await raw('GET /health/live HTTP/1.1\r\n\r\n')).status, 400, 'no host')
  await isAlive(t, 'all of it')
})

t.test('a request that does not arrive in time may be sent again', async (t) => {
  const refused = async (code: string) => {
    const written: string[] = []
    const socket = {
      writable: true,
      write: (data: string) => written.push(data),
      destroy: () => written.push('destroyed')
    }
    answerClientError.call(app, Object.assign(new Error(code), { code }) as never, socket as never)
    return written
  }
  const late = await refused('ERR_HTTP_REQUEST_TIMEOUT')
  t.match(late[0], /^HTTP\/1\.1 408 Request Timeout\r\n.*"retryable":true/s)
  t.same(late.slice(1), ['destroyed'])
  t.same(await refused('ECONNRESET'), ['destroyed'], 'nobody is there to be told')
})

t.test('a client that hangs up in the middle leaves no trace', async (t) => {
  const before = await contents(db)
  const head = `POST /api/configs HTTP/1.1\r\nhost: x\r\nx-api-key: ${adminKey}\r\ncontent-type: application/json\r\ncontent-length: 30\r\n\r\n`
  await Promise.all(['', 'GET /api/con', head,
    `${head}{"purpose":`].map((bytes) => new Promise<void>((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    socket.on('error', reject)
    socket.write(bytes || '\r\n', () => socket.resetAndDestroy())
    socket.on('close', () => resolve())
  })))
  await isAlive(t, 'four who hung up')
  t.equal(await contents(db), before)
})
