import { type AddressInfo, type Socket, createServer } from 'node:net'
import t from 'tap'
import { type ApiError } from '../../src/errors.ts'
import { createMistralProvider } from '../../src/llm/mistral/mistral-client.ts'
import {
  type Generated, apiKey, begin, bodyOf, chunk, codeOf, completion, connect, startSockets, startUpstream, talk
} from './mistral-upstream.ts'

t.test('every status of a refusal has its code, and no upstream text reaches the client', async (t) => {
  const codes: Record<string, string> = {
    300: 'upstream_rejected',
    302: 'upstream_rejected',
    400: 'upstream_rejected',
    401: 'upstream_rejected',
    402: 'upstream_rejected',
    403: 'upstream_rejected',
    404: 'upstream_rejected',
    408: 'upstream_timeout',
    422: 'upstream_rejected',
    429: 'upstream_rate_limited',
    500: 'upstream_failed',
    502: 'upstream_failed',
    503: 'upstream_unavailable',
    504: 'upstream_failed',
    520: 'upstream_failed',
    522: 'upstream_failed',
    524: 'upstream_failed'
  }
  let status = 0
  const headers = { 'mistral-correlation-id': 'corr-1', 'x-kong-request-id': 'kong-1' }
  const body = `{"message":"PRIVATE ${apiKey}","code":"1300","type":"odd"}`
  const upstream = await startUpstream(t, (exchange) => bodyOf(body, status, headers)(exchange))
  const { provider, log } = connect(t, upstream.url)
  for (const [key, code] of Object.entries(codes)) {
    status = Number(key)
    for (const stream of [true, false]) {
      const { error, texts } = await talk(provider, { stream })
      const failure = error as ApiError
      t.equal(failure.code, code, `status ${status}`)
      t.equal(failure.kind.retryable, code !== 'upstream_rejected')
      t.strictSame(texts, [])
      t.notMatch(JSON.stringify([failure.message, failure.headers, failure.members]), /PRIVATE|secret/)
      t.match(log.at(-1), {
        message: 'the model failed',
        facts: {
          code,
          status,
          correlationId: 'corr-1',
          kongRequestId: 'kong-1',
          upstream: { code: '1300', type: 'odd' },
          bytes: body.length
        }
      })
      t.notMatch(JSON.stringify(log), /PRIVATE|secret/)
    }
  }
})

t.test('the body of a refusal may have any shape; what kind it is and where is logged, and none of its words', async (t) => {
  const detail = [{ type: 'extra_forbidden', loc: ['body', 'store'], msg: 'Extra WORDS are not permitted' }]
  const at = ['body.store: extra_forbidden']
  const cases: Array<[string | object, object]> = [
    [{ object: 'error', message: 'Slow WORDS', type: 'rate_limited', param: null, code: '1300' }, { type: 'rate_limited', code: '1300' }],
    [{ detail }, { at }],
    [{ object: 'error', message: { detail }, type: 'invalid_request_error', code: null }, { type: 'invalid_request_error', at }],
    [{ object: 'error', message: JSON.stringify({ detail }), code: '1000' }, { code: '1000', at }],
    [{ object: 'Error', message: ['WORDS', { loc: ['body'] }], code: 3230 }, { code: 3230, at: ['body: wrong'] }],
    [{ error: { code: 'Invalid input', message: '{"message":"WORDS"}', status: 422 } }, { code: 'Invalid input' }],
    [{ error: 'WORDS' }, {}],
    [{ message: { message: { message: { message: { message: { message: { message: { loc: ['deep'] } } } } } } } }, {}],
    [{ message: 7 }, {}],
    ['<html><body>WORDS</body></html>', {}],
    ['[1]', {}],
    ['', {}],
    ['é'.repeat(40_000), {}]
  ]
  for (const [body, upstream] of cases) {
    const { url } = await startUpstream(t, bodyOf(body, 400))
    const { provider, log } = connect(t, url)
    t.equal(codeOf(await talk(provider)), 'upstream_rejected')
    t.strictSame(JSON.parse(JSON.stringify(log[0]?.facts.upstream)), upstream)
    t.notMatch(JSON.stringify(log), /WORDS|html|é/)
  }
})

t.test('the wait that an upstream asks for is passed on within bounds', async (t) => {
  const in30Seconds = new Date(Date.now() + 30_000).toUTCString()
  const cases: Array<[number, string, RegExp | undefined]> = [
    [429, '7', /^7$/], [429, '0', /^1$/], [429, '1.2', /^2$/], [429, '86400', /^60$/], [429, in30Seconds, /^(2\d|30)$/],
    [429, 'Wed, 21 Oct 2015 07:28:00 GMT', /^1$/], [429, 'soon', undefined], [503, '7', /^7$/], [500, '7', undefined]
  ]
  for (const [status, header, expected] of cases) {
    const upstream = await startUpstream(t, bodyOf('', status, { 'retry-after': header }))
    const { error } = await talk(connect(t, upstream.url).provider)
    const wait = (error as ApiError).headers['retry-after']
    if (expected === undefined) t.equal(wait, undefined, header)
    else t.match(wait, expected, header)
  }
  const upstream = await startUpstream(t, bodyOf('', 429))
  t.strictSame(((await talk(connect(t, upstream.url).provider)).error as ApiError).headers, {})
})

t.test('a model that cannot be reached is unavailable, and one that talks nonsense has failed', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\n'
  const sockets: Array<[string, string, (socket: Socket) => void]> = [
    ['reset at once', 'upstream_unavailable', (socket) => socket.resetAndDestroy()],
    ['closed before the head', 'upstream_unavailable', (socket) => socket.once('data', () => socket.end())],
    ['reset within the head', 'upstream_unavailable', (socket) => {
      socket.once('data', () => socket.write(head, () => socket.resetAndDestroy()))
    }],
    ['not HTTP', 'upstream_failed', (socket) => socket.once('data', () => socket.end('220 smtp ready\r\n'))],
    ['an endless header', 'upstream_failed', (socket) => {
      socket.once('data', () => socket.write(`${head}x: ${'y'.repeat(100_000)}`))
    }]
  ]
  for (const [name, code, answer] of sockets) {
    const { provider } = connect(t, `http://${await startSockets(t, answer)}`)
    t.equal(codeOf(await talk(provider)), code, name)
  }
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
  const refused = connect(t, `http://127.0.0.1:${port}`)
  t.equal(codeOf(await talk(refused.provider)), 'upstream_unavailable', 'refused')
  t.match(refused.log[0]?.facts, { cause: /ECONNREFUSED/, status: undefined, bytes: 0 })
  t.equal(codeOf(await talk(connect(t, 'http://parley-test.invalid').provider)), 'upstream_unavailable', 'no such name')
})

t.test('a connection that breaks within an answer is a failure, unless the answer was over', async (t) => {
  const cut = async (events: object[], stream = true): Promise<Generated> => {
    const upstream = await startUpstream(t, ({ response }) => {
      begin(response, ...events)
      response.write(' ', () => setImmediate(() => response.socket?.resetAndDestroy()))
    })
    return talk(connect(t, upstream.url).provider, { stream })
  }
  const early = await cut([chunk('Hello')])
  t.equal(codeOf(early), 'upstream_failed')
  t.strictSame(early.texts, ['Hello'])
  t.equal((await cut([chunk('Hello', 'stop')])).end?.finishReason, 'stop')
  t.equal(codeOf(await cut([completion('Hello')], false)), 'upstream_failed')
  const short = await startSockets(t, (socket) => {
    const body = JSON.stringify(completion('Hello'))
    socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n${body}`))
  })
  const shortened = await talk(connect(t, `http://${short}`).provider, { stream: false })
  t.equal(codeOf(shortened), 'upstream_failed', 'shorter than it said')
})

t.test('a base URL or a key that cannot be used is refused at once', async (t) => {
  const options = {
    baseUrl: 'http://127.0.0.1:1',
    apiKey,
    defaultModel: 'x',
    maxConcurrency: 1,
    firstTokenTimeoutMs: 1,
    idleTimeoutMs: 1,
    timeoutMs: 1,
    logger: { warn () {} }
  }
  t.throws(() => createMistralProvider({ ...options, apiKey: 'a\nb' }), TypeError)
  t.throws(() => createMistralProvider({ ...options, apiKey: '' }), TypeError)
  t.throws(() => createMistralProvider({ ...options, baseUrl: 'api.mistral.ai' }), { message: /URL/ })
  t.throws(() => createMistralProvider({ ...options, baseUrl: 'ftp://127.0.0.1' }), { message: /URL|protocol/i })
})
