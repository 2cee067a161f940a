import { connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { contents, isProblem, nobody } from '../edge.ts'
import { startApp } from '../helper.ts'

const { client, adminKey, db } = await startApp(t)
const { hostname, port } = new URL(client.url)
const config = await client.createConfig({ name: 'Untouched' })
const session = await client.createSession(config)

interface Heard {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Reads answers one behind the other, each as long as it says; those to HEAD have no body. */
function answersIn (bytes: Buffer, methods: readonly string[]): Heard[] {
  const answers: Heard[] = []
  let rest = bytes
  while (rest.length > 0) {
    const end = rest.indexOf('\r\n\r\n') + 4
    if (end < 4) throw new Error(`what is left is no answer: ${String(rest)}`)
    const head = rest.subarray(0, end).toString().toLowerCase()
    const length = methods[answers.length] === 'HEAD' ? 0 : Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0)
    answers.push({ status: Number(head.split(' ')[1]), head, body: rest.subarray(end, end + length).toString() })
    rest = rest.subarray(end + length)
  }
  return answers
}

function dial (bytes: string | Buffer): Socket {
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  if (typeof bytes === 'string') socket.write(bytes, 'latin1')
  else socket.write(bytes)
  return socket
}

const isAlive = async (t: Test) => t.equal((await client.ask('/health/live')).status, 200, 'the server lives')

const headOf = (method: string, path: string, lines: readonly string[] = []) =>
  [`${method} ${path} HTTP/1.1`, 'host: x', `x-api-key: ${adminKey}`, ...lines, '', ''].join('\r\n')

function requestOf (method: string, path: string, body?: string, lines: readonly string[] = []): string {
  if (body === undefined) return headOf(method, path, lines)
  return headOf(method, path, [...lines, 'content-type: application/json', `content-length: ${Buffer.byteLength(body)}`]) + body
}

t.test('requests that come together on one connection are answered in their order, each with its own', async (t) => {
  const asked: Array<readonly [method: string, path: string, body: string | undefined, status: number, says: RegExp]> = [
    ['POST', '/api/configs', '{"purpose":"First"}', 201, /"purpose":"First"/],
    ['GET', `/api/configs/${nobody}`, undefined, 404, /"code":"not_found"/],
    ['HEAD', `/api/configs/${config}`, undefined, 200, /^$/],
    ['POST', `/api/sessions/${session}/messages`, '{"message":"Hello?"}', 200, /"reply":"/],
    ['PUT', '/api/sessions', '{}', 405, /"code":"method_not_allowed"/],
    ['POST', '/api/configs', '{"purpose":"Second"}', 201, /"purpose":"Second"/],
    ['GET', `/api/sessions/${session}/messages`, undefined, 200, /"hasMore":false/],
    ['PATCH', `/api/configs/${config}`, '{"unknown":1}', 400, /"path":"\/unknown"/],
    ['GET', '/health/live', undefined, 200, /"status":"ok"/]
  ]
  const last = requestOf('DELETE', `/api/sessions/${nobody}`, undefined, ['connection: close', 'x-request-id: last'])
  const all = asked.map(([method, path, body], i) => requestOf(method, path, body, [`x-request-id: request-${i}`]))
  const socket = dial(all.join('') + last)
  const answers = answersIn(await buffer(socket), asked.map(([method]) => method))
  socket.end()

  t.equal(answers.length, asked.length + 1)
  for (const [i, [method, path, , status, says]] of asked.entries()) {
    const label = `${method} ${path}`
    t.match(answers[i], { status, body: says }, label)
    t.match(answers[i]!.head, `\r\nx-request-id: request-${i}\r\n`, label)
  }
  t.match(answers.at(-1), { status: 404, head: /x-request-id: last/ })
})

t.test('a body that cannot be read is told, and what comes behind it is answered', async (t) => {
  const last = requestOf('POST', '/api/configs', '{"purpose":"Third"}', ['connection: close'])
  const socket = dial(requestOf('POST', '/api/configs', '{"purpose":') + last)
  const answers = answersIn(await buffer(socket), [])
  socket.end()
  t.match(answers, [{ status: 400, body: /"code":"malformed_json"/ }, { status: 201, body: /"purpose":"Third"/ }])
  t.equal(answers.length, 2)
})

t.test('what is wrong behind a good request does not spoil its answer', async (t) => {
  const before = await contents(db)
  const socket = dial(requestOf('GET', '/health/live') + 'nonsense\r\n\r\n' + requestOf('POST', '/api/configs', '{"purpose":"x"}'))
  const answers = answersIn(await buffer(socket), [])
  socket.end()
  // Node may give up the first answer with the connection; never the other way round.
  t.match(answers.at(-1), { status: 400, head: /connection: close/, body: /"code":"validation_failed"/ })
  t.ok(answers.length <= 2, 'what comes behind it is not read')
  t.equal(await contents(db), before)
})

t.test('half of a request does nothing, however it ends', async (t) => {
  const before = await contents(db)
  const body = '{"purpose":"Half"}'
  const json = 'content-type: application/json'
  const sized = (length: number, sent: string) => headOf('POST', '/api/configs', [json, `content-length: ${length}`]) + sent
  const chunked = (sent: string) => headOf('POST', '/api/configs', [json, 'transfer-encoding: chunked']) + sent
  const whole = `12\r\n${body}\r\n`
  const cut: Record<string, string> = {
    'half a line': 'POST /api/conf',
    'half a head': headOf('POST', '/api/configs', [json]).slice(0, -2),
    'half a body': sized(18, body.slice(0, 9)),
    'a length that is too long': sized(19, body),
    'half a chunk': chunked(`12\r\n${body.slice(0, 9)}`),
    'chunks without an end': chunked(whole),
    'a last chunk that is cut': chunked(`${whole}0\r\n`)
  }
  const wrong: Record<string, string> = {
    'a chunk without a size': chunked(`\r\n${body}\r\n0\r\n\r\n`),
    'a size that is none': chunked(`xyz\r\n${body}\r\n0\r\n\r\n`),
    'a size with a sign': chunked(`-12\r\n${body}\r\n0\r\n\r\n`),
    'a size beyond all numbers': chunked(`ffffffffffffffffff\r\n${body}\r\n0\r\n\r\n`),
    'a chunk that is longer than it says': chunked(`5\r\n${body}\r\n0\r\n\r\n`),
    'a chunk that is shorter than it says': chunked(`20\r\n${body}\r\n0\r\n\r\n`),
    'a body without a length': headOf('POST', '/api/configs', [json]) + body,
    'a length that is too short': sized(9, body)
  }
  await Promise.all(Object.entries({ ...cut, ...wrong }).map(async ([label, bytes]) => {
    const socket = dial(bytes)
    socket.end()
    const answers = answersIn(await buffer(socket), [])
    for (const answer of answers) t.match(answer, { status: 400, body: /"code":"(validation_failed|malformed_json)"/ }, label)
    if (label in wrong) t.ok(answers.length > 0, `${label} is told`)
  }))
  t.equal(await contents(db), before, 'nothing was written')
  await isAlive(t)
})

t.test('a body in another encoding than UTF-8 is refused, and never taken for something else', async (t) => {
  const before = await contents(db)
  const send = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}, path = '/api/configs') => {
    const response = await fetch(client.url + path, {
      method: 'POST', body, headers: { 'content-type': 'application/json', 'x-api-key': adminKey, ...headers }
    })
    return { status: response.status, headers: response.headers, body: response.status === 201 ? {} : await response.json() }
  }
  const text = '{"purpose":"Grüße"}'
  const utf16 = Buffer.from(text, 'utf16le')
  const wide = (bytes: Buffer, order: string) => Uint8Array.from(order === 'big' ? Buffer.from(bytes).swap16() : bytes)
  const bodies: Record<string, Uint8Array<ArrayBuffer>> = {
    'UTF-16, little end first': wide(utf16, 'little'),
    'UTF-16, big end first': wide(utf16, 'big'),
    'UTF-16 with a mark': wide(Buffer.from(`\ufeff${text}`, 'utf16le'), 'little'),
    'UTF-32': Uint8Array.from(Buffer.concat([...text].map((char) => Buffer.from([char.codePointAt(0)!, 0, 0, 0])))),
    'Latin-1': Uint8Array.from(Buffer.from(text, 'latin1')),
    'UTF-7': Uint8Array.from(Buffer.from('+AHsAIg-purpose+ACI:+ACI-x+ACIAfQ-')),
    'two marks': Uint8Array.from(Buffer.from(`\ufeff\ufeff${text}`))
  }
  for (const [label, body] of Object.entries(bodies)) isProblem(t, await send(body), 'malformed_json', label)
  for (const charset of ['latin1', 'iso-8859-1', '"utf-16"', 'UTF-16LE', 'utf-7', 'windows-1252', 'x', '']) {
    isProblem(t, await send(text, { 'content-type': `application/json; charset=${charset}` }), 'unsupported_media_type', charset)
  }
  const compressed = { gzip: gzipSync(text), 'x-gzip': gzipSync(text), deflate: deflateSync(text), br: brotliCompressSync(text), 'gzip, gzip': gzipSync(gzipSync(text)) }
  for (const [coding, body] of Object.entries(compressed)) {
    const refused = await send(Uint8Array.from(body), { 'content-encoding': coding })
    isProblem(t, refused, 'unsupported_media_type', coding)
    t.equal(refused.headers.get('accept-encoding'), 'identity')
  }
  isProblem(t, await send(text, { 'content-encoding': 'gzip' }), 'unsupported_media_type', 'what only says that it is compressed')
  isProblem(t, await send('{}', { 'content-encoding': 'gzip', 'content-type': 'application/x-ndjson' }, '/api/import'),
    'unsupported_media_type', 'lines')
  t.equal(await contents(db), before, 'nothing was written')

  const asIs = { 'content-encoding': 'Identity', 'content-type': 'application/json; charset="UTF-8"; x=y' }
  t.equal((await send(text, asIs)).status, 201)
  t.equal((await send('{"purpose":"x"}', { 'content-type': 'application/json;charset=us-ascii' })).status, 201)
  await isAlive(t)
})
