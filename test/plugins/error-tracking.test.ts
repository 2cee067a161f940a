import { text } from 'node:stream/consumers'
import t from 'tap'
import { createTracker } from '../../plugins/error-tracking/sentry.ts'
import { startApp } from '../helper.ts'
import { startLoopback } from '../oauth/loopback-server.ts'

interface Reported {
  readonly level: string
  readonly release: string
  readonly exception: { readonly values: Array<{ readonly type: string, readonly value: string, readonly stacktrace: { readonly frames: Array<{ readonly filename: string, readonly lineno: number }> } }> }
  readonly tags: Record<string, string>
}

t.test('an error that nobody has expected is reported, and nothing of its request but the route', async (t) => {
  const envelopes: Array<{ url: string | undefined, lines: string[] }> = []
  const { url } = await startLoopback(t, () => (request, response) => {
    void text(request).then((body) => {
      envelopes.push({ url: request.url, lines: body.split('\n') })
      response.end('{}')
    })
  })
  const { app, client } = await startApp(t, { SENTRY_DSN: url.replace('//', '//0123abcd@') + '/42' })
  const { body: made } = await client.ask<{ id: string }>('/api/specifications', { body: { brief: 'A bot for canary birds.' } })
  await app.mongo.db!.collection('specifications').updateMany({}, { $set: { createdAt: 'canary' } })
  t.equal((await client.ask(`/api/specifications/${made.id}?`, { headers: { 'x-request-id': 'unlucky', 'x-canary': 'canary' } })).status, 500)
  t.equal((await client.ask('/nothing')).status, 404)
  await app.close()

  const events = envelopes.filter(({ lines }) => lines[1]?.includes('"type":"event"'))
  t.equal(events.length, 1, 'what is expected is not reported')
  t.match(events[0]?.url, /^\/api\/42\/envelope\/\?.*sentry_key=0123abcd/)
  const event = JSON.parse(events[0]!.lines[2]!) as Reported
  t.match(event, { level: 'error', release: /^parley@\d/, tags: { route: '/api/specifications/:id', requestId: 'unlucky' } })
  const [exception] = event.exception.values
  t.match(exception, { type: String, value: String })
  t.ok(exception!.stacktrace.frames.some(({ filename, lineno }) => filename.includes('/') && lineno > 0), 'with the places in the code')
  t.notMatch(JSON.stringify(envelopes), 'canary')
})

t.test('a tracker that is away holds nobody up', async (t) => {
  const tracker = createTracker({ dsn: 'http://0123abcd@127.0.0.1:1/42', environment: 'test', release: 'parley@0' })
  tracker.report(new Error('outer', { cause: new TypeError('inner') }), {})
  tracker.report('no error', {})
  await tracker.close()
  t.pass('closed')
})
