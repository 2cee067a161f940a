import t from 'tap'
import { parse } from 'yaml'
import { startApp } from '../helper.ts'

t.test('operations', async (t) => {
  const { app, client } = await startApp(t, { RATE_LIMIT_PER_MINUTE: '1' })
  const anyone = client.with({})

  t.test('health tells the version, the uptime and what was checked, to anyone and without a limit', async (t) => {
    for (let i = 0; i < 3; i++) {
      const { status, headers, body } = await anyone.ask('/health')
      t.equal(status, 200)
      t.match(body, { status: 'ok', version: /^\d+\.\d+\.\d+$/, uptime: Number, checks: { store: 'ok', turns: 'ok', model: String } })
      t.match(headers.get('x-request-id'), /^[0-9a-f-]{36}$/)
      t.equal(headers.get('ratelimit-limit'), null)
    }
    t.strictSame((await anyone.ask('/health/live')).body, { status: 'ok' })
    t.strictSame((await anyone.ask('/health/ready')).body, { status: 'ok' })
  })

  t.test('metrics count requests by route pattern', async (t) => {
    await client.ask('/api/configs/0123456789abcdef01234567')
    const response = await anyone.fetch('/metrics')
    const text = await response.text()
    t.match(response.headers.get('content-type'), /^text\/plain/)
    t.match(text, /http_request_duration_seconds_count\{method="GET",route="\/api\/configs\/:id",status="4\d\d"\} 1/)
    t.match(text, 'process_cpu_user_seconds_total')
    t.notMatch(text, '0123456789abcdef01234567', 'no path of a request')
  })

  t.test('the document in JSON and in YAML says the same', async (t) => {
    const json = await anyone.fetch('/openapi.json')
    const yaml = await anyone.fetch('/openapi.yaml')
    t.match(json.headers.get('content-type'), /^application\/json/)
    t.match(yaml.headers.get('content-type'), /^application\/yaml/)
    t.strictSame(parse(await yaml.text()), await json.json())
  })

  t.test('the pages for people are there', async (t) => {
    const page = await anyone.fetch('/docs/')
    t.equal(page.status, 200)
    t.match(await page.text(), 'swagger-ui')
    t.match(page.headers.get('content-security-policy'), /script-src/)
    const shown = await anyone.ask('/docs/json')
    t.strictSame(shown.body, (await anyone.ask('/openapi.json')).body)
  })

  t.test('what is not known of a query is refused here, too', async (t) => {
    for (const path of ['/health', '/health/live', '/health/ready', '/metrics', '/openapi.json', '/openapi-3.0.json', '/openapi.yaml']) {
      const { status, headers, body } = await anyone.ask(`${path}?verbose=1`)
      t.equal(status, 400, path)
      t.equal(headers.get('content-type'), 'application/problem+json; charset=utf-8')
      t.match(body, { code: 'validation_failed', errors: [{ path: '/verbose' }] })
    }
  })

  t.test('another method is answered with those there are', async (t) => {
    const { status, headers, body } = await anyone.ask('/health', { body: {} })
    t.equal(status, 405)
    t.equal(headers.get('allow'), 'GET, HEAD')
    t.match(body, { code: 'method_not_allowed', instance: '/health' })
  })

  t.test('a server that goes down is alive and not ready', async (t) => {
    await app.chat.drain(0)
    const ready = await anyone.ask('/health/ready')
    t.equal(ready.status, 503)
    t.strictSame(ready.body, { status: 'unavailable' })
    const health = await anyone.ask('/health')
    t.equal(health.status, 503)
    t.match(health.body, { status: 'unavailable', checks: { store: 'ok', turns: 'going down' } })
    t.equal((await anyone.ask('/health/live')).status, 200)
  })
})

t.test('what is not well besides is told by people, not by probes', async (t) => {
  const few = async () => ({ freeBytes: 1e9, totalBytes: 100e9 })
  const { app, client } = await startApp(t, {}, { space: few })
  const anyone = client.with({})
  t.match(await anyone.ask('/health'), { status: 200, body: { status: 'degraded', checks: { store: 'ok', disk: 'nearly full', jobs: 'ok', upstream: 'not used' } } })
  t.equal((await anyone.ask('/health/ready')).status, 200)
  await app.close()
})

t.test('a server whose store is away is alive and not ready', async (t) => {
  const { app, client } = await startApp(t)
  const anyone = client.with({})
  await app.mongo.client.close()
  const { status, body } = await anyone.ask('/health')
  t.equal(status, 503)
  t.match(body, { status: 'unavailable', checks: { store: 'is away' } })
  t.equal((await anyone.ask('/health/live')).status, 200)
})
