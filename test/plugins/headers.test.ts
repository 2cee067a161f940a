import t, { type Test } from 'tap'
import { bearer, isProblem, JWT_SECRET, nobody, signJwt } from '../edge.ts'
import { startApp, type Answer, type Client } from '../helper.ts'

const limits = ({ headers }: Answer) => ['limit', 'remaining', 'reset'].map((name) => headers.get(`ratelimit-${name}`))
const list = async (who: Client) => await who.ask('/api/configs')

/** A clock for the limit, which stands still until it is moved. */
function stopClock (t: Test) {
  let time = performance.now()
  t.intercept(performance, 'now', { value: () => time })
  return { forward: (ms: number) => { time += ms } }
}

t.test('a credential may ask so many times in the minute from its first request', async (t) => {
  const { client, clientFor } = await startApp(t, { RATE_LIMIT_STORE: 'memory', RATE_LIMIT_PER_MINUTE: '3', JWT_SECRET })
  const clock = stopClock(t)
  const key = await clientFor('default', 'configs:read')
  t.same(limits(await list(key)), ['3', '2', '60'])
  clock.forward(20_000)
  t.same(limits(await list(key)), ['3', '1', '40'])
  t.same(limits(await list(key)), ['3', '0', '40'])
  clock.forward(39_999)
  for (let i = 0; i < 2; i++) {
    const refused = await list(key)
    isProblem(t, refused, 'rate_limited')
    t.same(limits(refused), ['3', '0', '1'])
    t.equal(refused.headers.get('retry-after'), '1')
  }
  t.same([(await list(client)).status, (await list(bearer(client, { sub: 'a', scope: 'configs:read' }))).status],
    [200, 200], 'others are not affected')
  clock.forward(1)
  t.same(limits(await list(key)), ['3', '2', '60'], 'a new window')
})

t.test('the same credential counts as one, however it is written', async (t) => {
  const { client, adminKey } = await startApp(t, { RATE_LIMIT_PER_MINUTE: '2', JWT_SECRET })
  stopClock(t)
  t.equal((await list(client)).status, 200)
  t.equal((await list(client.with({ authorization: `Bearer ${adminKey}` }))).status, 200)
  t.equal((await list(client.with({ authorization: `bearer  ${adminKey}` }))).status, 429)

  const token = signJwt({ sub: 'a', scope: 'configs:read' })
  // The last character of a signature bears two bits that mean nothing.
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const spelled = (bits: number) => token.slice(0, -1) + alphabet[(alphabet.indexOf(token.at(-1)!) & ~3) | bits]
  const statuses: number[] = []
  for (const bits of [0, 1, 2, 3]) statuses.push((await list(client.with({ authorization: `Bearer ${spelled(bits)}` }))).status)
  t.same(statuses.filter((status) => status === 200).length, 1, 'of a token, one spelling is valid')
  const written = ['Bearer', 'bearer '].map((scheme) => ({ authorization: `${scheme} ${token}` }))
  t.same([(await list(client.with(written[0]!))).status, (await list(client.with(written[1]!))).status], [200, 429])
  t.equal((await list(bearer(client, { sub: 'a', scope: 'configs:read', jti: 'another' }))).status, 200,
    'another token of the same user')
})

t.test('failures count, and requests without a credential count per address', async (t) => {
  const { client, clientFor } = await startApp(t, { RATE_LIMIT_PER_MINUTE: '3' })
  stopClock(t)
  const key = await clientFor('default', 'configs:read')
  t.same((await key.ask('/api/configs', { body: {} })).headers.get('ratelimit-remaining'), '2', '403')
  t.same((await key.ask('/api/configs?limit=0')).headers.get('ratelimit-remaining'), '1', '400')
  t.same((await key.ask(`/api/configs/${nobody}`)).headers.get('ratelimit-remaining'), '0', '404')
  isProblem(t, await list(key), 'rate_limited')
  for (const credential of ['x', 'y', 'z']) {
    isProblem(t, await list(client.with({ 'x-api-key': credential })),
      'unauthenticated')
  }
  isProblem(t, await list(client.with({})), 'rate_limited')
  t.equal((await list(client)).status, 200, 'who has a credential is not held up by that')
})

t.test('public paths are not limited', async (t) => {
  const { client } = await startApp(t, { RATE_LIMIT_PER_MINUTE: '1' })
  for (const path of ['/health', '/health/live', '/health/ready', '/openapi.json', '/docs/', '/nowhere', '/metrics']) {
    for (let i = 0; i < 3; i++) {
      const response = await client.fetch(path)
      await response.body?.cancel()
      t.ok([200, 404].includes(response.status), path)
      t.notMatch(JSON.stringify([...response.headers]), /ratelimit/, path)
    }
  }
})

t.test('without a limit there are no headers of one', async (t) => {
  const { client } = await startApp(t, { RATE_LIMIT_PER_MINUTE: '0' })
  for (let i = 0; i < 70; i++) t.match(await list(client), { status: 200 })
  t.same(limits(await list(client)), [null, null, null])
})

t.test('every response has a request id, the caller\'s own where it is harmless', async (t) => {
  const { client } = await startApp(t, { CORS_ORIGINS: 'https://app.example' })
  const id = await client.createConfig()
  const fresh = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  const preflight = { origin: 'https://app.example', 'access-control-request-method': 'PUT' }
  const requests: Array<[string, number, Parameters<Client['fetch']>[1]?]> = [
    ['/api/configs', 200],
    ['/api/configs', 201, { body: { purpose: 'x' } }],
    ['/api/configs', 400, { body: {} }],
    ['/api/configs', 400, { body: '{' }],
    ['/api/configs', 401, { headers: { 'x-api-key': 'x' } }],
    ['/api/configs', 405, { method: 'PUT' }],
    ['/api/configs', 405, { method: 'OPTIONS' }],
    ['/api/configs', 204, { method: 'OPTIONS', headers: preflight }],
    ['/api/configs', 413, { body: 'x'.repeat(300_000) }],
    ['/api/configs', 415, { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }],
    [`/api/configs/${id}`, 200, { method: 'HEAD' }],
    [`/api/configs/${id}`, 304, { headers: { 'if-none-match': '*' } }],
    [`/api/configs/${nobody}`, 404],
    ['/api/configs/%zz', 404],
    ['/nowhere', 404],
    ['/health', 200],
    ['/docs/', 200],
    ['/openapi.yaml', 200],
    ['/openapi-3.0.json', 200],
    [`/api/configs/${id}`, 204, { method: 'DELETE' }]
  ]
  for (const [path, status, request] of requests) {
    const ask = async (given?: string) => {
      const headers = { ...request?.headers, ...(given !== undefined && { 'x-request-id': given }) }
      const response = await client.fetch(path, { ...request, headers })
      await response.body?.cancel()
      return [response.status, response.headers.get('x-request-id')]
    }
    const own = await ask('trace-1.a_b~C')
    t.same(own, [status, 'trace-1.a_b~C'], `${request?.method ?? 'GET'} ${path} ${status}`)
    if (request?.method !== 'DELETE') t.match(await ask(), [status, fresh], path)
  }
  for (const harmful of ['', 'a b', 'a,b', 'é', '<script>', 'a'.repeat(129), '{"$ne":1}', '../x', 'a\tb']) {
    const { headers } = await client.ask('/api/configs', { headers: { 'x-request-id': harmful } })
    t.match(headers.get('x-request-id'), fresh, harmful)
  }
  const longest = 'a'.repeat(128)
  t.equal((await client.ask('/nowhere', { headers: { 'x-request-id': longest } })).body['requestId'], longest)
})

t.test('pages of the listed origins may call, others may not', async (t) => {
  const { client } = await startApp(t, {
    CORS_ORIGINS: 'https://app.example, http://localhost:5173',
    RATE_LIMIT_PER_MINUTE: '1000'
  })
  const id = await client.createConfig()
  const from = async (origin: string, path = '/api/configs', request: Parameters<Client['fetch']>[1] = {}) => {
    const response = await client.fetch(path, { ...request, headers: { origin, ...request.headers } })
    return { status: response.status, text: await response.text(), headers: response.headers }
  }
  for (const origin of ['https://app.example', 'http://localhost:5173']) {
    for (const [path, status] of [['/api/configs', 200], [`/api/configs/${nobody}`, 404], ['/nowhere', 404],
      ['/health', 200]] as const) {
      const answer = await from(origin, path)
      t.equal(answer.status, status)
      t.equal(answer.headers.get('access-control-allow-origin'), origin, path)
      t.match(answer.headers.get('vary'), /origin/i)
      for (const name of ['x-request-id', 'ratelimit-remaining', 'retry-after', 'etag', 'location',
        'idempotency-replayed']) {
        t.match(answer.headers.get('access-control-expose-headers'), name)
      }
      t.equal(answer.headers.get('access-control-allow-credentials'), null)
    }
    const withCookie = await from(origin, '/api/auth/csrf-token', { method: 'POST' })
    t.equal(withCookie.headers.get('access-control-allow-credentials'), 'true', 'cookies go there, and nowhere else')
    const refused = await from(origin, '/api/configs', { headers: { 'x-api-key': 'wrong' } })
    t.match([refused.status, refused.headers.get('access-control-allow-origin')], [401, origin],
      'a page can read why it was refused')
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const headers = {
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization,content-type,if-match',
        'x-api-key': ''
      }
      const preflight = await from(origin, `/api/configs/${id}`, { method: 'OPTIONS', headers })
      t.same([preflight.status, preflight.text], [204, ''], 'a preflight has no credential and needs none')
      t.equal(preflight.headers.get('access-control-allow-origin'), origin)
      t.match(preflight.headers.get('access-control-allow-methods'), new RegExp(`\\b${method}\\b`), method)
      t.match(preflight.headers.get('access-control-allow-headers'), /authorization.*if-match/i)
    }
  }
  for (const origin of ['https://evil.example', 'https://app.example.evil.example', 'http://app.example',
    'https://app.example:444', 'null', '*']) {
    t.equal((await from(origin)).headers.get('access-control-allow-origin'), null, origin)
    const headers = { 'access-control-request-method': 'POST' }
    t.equal((await from(origin, '/api/configs',
      { method: 'OPTIONS', headers })).headers.get('access-control-allow-origin'), null, origin)
  }
  for (const headers of [{}, { origin: 'https://app.example' }] as Array<Record<string, string>>) {
    const plain = await client.ask('/api/configs', { method: 'OPTIONS', headers })
    isProblem(t, plain, 'method_not_allowed', 'an OPTIONS that is no preflight')
    t.equal(plain.headers.get('allow'), 'GET, HEAD, POST')
    isProblem(t, await client.ask('/nowhere', { method: 'OPTIONS', headers }), 'not_found')
  }
})

t.test('with no origin listed there are no CORS headers at all', async (t) => {
  const { client } = await startApp(t)
  const preflight = { origin: 'https://app.example', 'access-control-request-method': 'POST' }
  for (const request of [{ headers: { origin: 'https://app.example' } }, { method: 'OPTIONS', headers: preflight }]) {
    const response = await client.fetch('/api/configs', request)
    await response.body?.cancel()
    t.notMatch(JSON.stringify([...response.headers]), /access-control/)
  }
})
