import t from 'tap'
import { openTracker } from '../../plugins/error-tracking.ts'
import { ReportBudget } from '../../plugins/error-tracking/report-budget.ts'
import { createTracker } from '../../plugins/error-tracking/sentry.ts'
import { loadConfig } from '../../src/config.ts'
import { ApiError } from '../../src/errors.ts'
import { startCollector } from '../error-collector.ts'
import { startApp } from '../helper.ts'

t.test('an error that nobody has expected is reported, and nothing of its request but the route', async (t) => {
  const { dsn, envelopes, events } = await startCollector(t)
  const { app, client } = await startApp(t, { SENTRY_DSN: dsn })
  const { body: made } = await client.ask<{ id: string }>('/api/specifications', { body: { brief: 'A bot for canary birds.' } })
  await app.mongo.db!.collection('specifications').updateMany({}, { $set: { createdAt: 'canary' } })
  t.equal((await client.ask(`/api/specifications/${made.id}?`, { headers: { 'x-request-id': 'unlucky', 'x-canary': 'canary' } })).status, 500)
  t.equal((await client.ask('/nothing')).status, 404)
  await app.close()

  t.equal(events().length, 1, 'what is expected is not reported')
  t.match(envelopes[0]!.url, /^\/api\/42\/envelope\/\?.*sentry_key=0123abcd/)
  const [event] = events()
  t.match(event, { level: 'error', release: /^parley@\d/, tags: { route: '/api/specifications/:id', requestId: 'unlucky' } })
  const [exception] = event!.exception.values
  t.match(exception, { type: String, value: String })
  t.ok(exception!.stacktrace.frames.some(({ filename, lineno }) => filename.includes('/') && lineno > 0), 'with the places in the code')
  t.notMatch(JSON.stringify(envelopes), 'canary')
})

t.test('so is what goes wrong behind all requests, with what was being done', async (t) => {
  const { dsn, envelopes, told } = await startCollector(t)
  const { app, client, db } = await startApp(t, { SENTRY_DSN: dsn })
  const sessionId = await client.converse()
  await client.ask(`/api/sessions/${sessionId}/messages`, { body: { message: 'A canary.' } })
  await db.collection('messages').updateMany({}, { $set: { content: { canary: 1 } } })
  await db.collection('sessions').updateMany({}, { $set: { unindexed: true, indexedSeq: 0 } })
  const event = await told(({ tags }) => tags['work'] === 'indexing for the search failed; it is tried again')
  t.match(event.exception.values[0], { type: 'TypeError' })

  const log = app.trackedLog()
  log.info({ err: new Error('no failure') }, 'by the way')
  log.warn({ code: 'a failure without an error' }, 'as it happens')
  log.error({ err: new ApiError('upstream_unavailable', { cause: new Error('away') }) }, 'the model is away')
  log.error({ err: 'a canary' }, 'thrown as a text')
  await told(({ tags }) => tags['work'] === 'thrown as a text')
  await app.close()
  t.notMatch(JSON.stringify(envelopes), 'canary')
  t.notMatch(JSON.stringify(envelopes), /by the way|as it happens|the model is away/)
})

t.test('a storm of errors makes a few reports', async (t) => {
  const { dsn, events } = await startCollector(t)
  const tracker = (await openTracker({ config: loadConfig({ SENTRY_DSN: dsn }), version: '0' }))!
  for (let i = 0; i < 5000; i++) tracker.report(new Error(`no. ${i}`), { work: 'a storm' })
  await tracker.close()
  t.equal(events().length, 5)

  let now = 0
  const budget = new ReportBudget(() => now)
  const allowed = (name: string) => budget.allows(Object.assign(new Error('one of many'), { name }))
  t.equal(Array.from({ length: 1000 }, (_, i) => allowed(`kind ${i}`)).filter(Boolean).length, 60, 'also of many kinds')
  now = 59_999
  t.notOk(allowed('kind 0'))
  now = 60_000
  t.ok(allowed('kind 0'), 'and as many again in the next minute')
})

t.test('a tracker that is away holds nobody up', async (t) => {
  const tracker = createTracker({ dsn: 'http://0123abcd@127.0.0.1:1/42', environment: 'test', release: 'parley@0' })
  tracker.report(new Error('outer', { cause: new TypeError('inner') }), {})
  tracker.report('no error', {})
  await tracker.close()
  t.pass('closed')
})
