import t from 'tap'
import { type IssuedWebhookEndpoint } from '../../schemas/webhook-endpoint.ts'
import { allOf, startApp } from '../helper.ts'
import { labelsOf, readMetrics, valueOf, type Sample } from '../metrics.ts'
import { startTestSim } from '../sim.ts'
import { startReceiver } from '../webhooks/receiver.ts'

const sim = await startTestSim(t)
const receiver = await startReceiver(t)
const { app, client } = await startApp(t, {
  MISTRAL_BASE_URL: sim.url,
  MISTRAL_API_KEY: 'sim',
  OUTGOING_ALLOWED_NETWORKS: '127.0.0.0/8',
  ENCRYPTION_KEYS: `one:${Buffer.alloc(32, 1).toString('base64')}`
})
const read = async () => await readMetrics(client.url)

t.test('turns, what they took of models, and what they asked of the store', async (t) => {
  const session = await client.converse()
  const path = `/api/sessions/${session}/messages`
  await client.ask(path, { body: { message: 'One?' } })
  const { events } = await client.events(path, { body: { message: 'Two?' } })
  await allOf(events)
  const { body } = await client.ask<{ botMessage: { id: string } }>(path, { body: { message: 'Three?' } })
  await client.ask(`${path}/${body.botMessage.id}/regenerate`, { method: 'POST' })
  const metrics = await read()
  const of = (name: string, labels = {}) => valueOf(metrics, name, labels)
  t.equal(of('chat_messages_total', { role: 'user' }), 3)
  t.equal(of('chat_messages_total', { role: 'bot' }), 4, 'one was asked for another reply')
  t.equal(of('chat_turns_total', { status: 'completed' }), 4)
  t.equal(of('chat_response_time_seconds_count'), 4)
  t.equal(of('chat_first_token_seconds_count'), 4)
  t.equal(of('active_conversations'), 1)
  t.equal(of('chat_turns_running'), 0)
  const model = 'mistral-small-latest'
  t.equal(of('ai_requests_total', { model, outcome: 'completed' }), 4)
  t.equal(of('ai_request_duration_seconds_count', { model }), 4)
  t.ok(of('ai_tokens_total', { model, kind: 'prompt' }) > 0)
  t.ok(of('ai_tokens_total', { model, kind: 'completion' }) > 0)
  t.ok(of('ai_cost_usd_total', { model }) > 0)
  t.equal(of('ai_queue_wait_seconds_count'), 4)
  t.equal(of('ai_queue_depth'), 0)
  t.equal(of('ai_requests_running'), 0)
  t.ok(of('store_command_duration_seconds_count', { command: 'findAndModify' }) > 0)
  t.ok(of('store_command_duration_seconds_count', { command: 'insert' }) > 0)
  for (const work of ['reaper', 'purger', 'webhooks', 'webhooks in']) t.ok(of('job_last_run_timestamp_seconds', { work }) > 1e9, work)
})

t.test('a call that fails is counted, and so is the one after it', async (t) => {
  const session = await client.converse({ model: { name: 'mistral-large-latest' } })
  sim.script([{ fault: { status: { code: 503 } } }])
  await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Again?' } })
  const metrics = await read()
  const model = 'mistral-large-latest'
  t.equal(valueOf(metrics, 'ai_retries_total', { model }), 1)
  t.equal(valueOf(metrics, 'ai_requests_total', { model, outcome: 'completed' }), 1)
  t.equal(labelsOf(metrics, 'ai_requests_total').filter((labels) => labels['model'] === model).length, 2, 'by outcome')
})

t.test('streams are counted while they are open, and their duration is the time to their beginning', async (t) => {
  const session = await client.converse()
  const leave = new AbortController()
  const { events } = await client.events(`/api/sessions/${session}/events`, { signal: leave.signal })
  await events[Symbol.asyncIterator]().next()
  t.equal(valueOf(await read(), 'open_streams'), 1)
  leave.abort()
  const ofStream = { route: '/api/sessions/:id/events', status: '200' }
  while (valueOf(await read(), 'http_request_duration_seconds_count', ofStream) !== 1) { /* the server hears of it soon */ }
  t.equal(valueOf(await read(), 'open_streams'), 0)
})

t.test('webhooks are counted by what came of them, and the backlog is looked at', async (t) => {
  const { body: endpoint } = await client.ask<IssuedWebhookEndpoint>('/api/webhook-endpoints', { body: { url: receiver.url } })
  await client.ask(`/api/webhook-endpoints/${endpoint.id}/test`, { method: 'POST' })
  while (valueOf(await read(), 'webhook_deliveries_total', { outcome: 'delivered' }) !== 1) { /* it is on its way */ }
  t.strictSame(await app.store.webhookDeliveries.backlog(), { count: 0, oldestMs: 0 })
  await app.store.webhookDeliveries.insert({
    tenantId: 'default', eventId: 'evt_1', type: 'ping', body: '{}', sessionId: null, messageId: null, userId: null
  }, ['0123456789abcdef01234567'])
  t.match(await app.store.webhookDeliveries.backlog(), { count: 1, oldestMs: Number })
  t.ok(valueOf(await read(), 'webhook_backlog') >= 0)
  t.ok(valueOf(await read(), 'webhook_backlog_oldest_seconds') >= 0)
})

t.test('what strangers make up is no label', async (t) => {
  const session = await client.converse({ model: { name: 'made-up-by-a-tenant' } })
  await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Who are you?' } })
  const ofRequests = (samples: readonly Sample[]) => samples.filter(({ name }) => name.startsWith('http_')).length
  const before = ofRequests(await read())
  for (let i = 0; i < 20; i++) {
    await client.ask(`/nothing/${i}`)
    await client.ask(`/api/sessions/${session}?made=${i}`)
    await client.ask(`/api/configs/${i}/${i}`, { method: 'PUT', body: {} })
  }
  const metrics = await read()
  t.ok(ofRequests(metrics) - before <= 3 * 16, 'series for the routes only')
  t.equal(valueOf(metrics, 'ai_requests_total', { model: 'other' }), 1)
  const text = JSON.stringify(metrics)
  for (const word of ['made-up', '/nothing', 'made=', session, 'default']) t.notMatch(text, word)
})

t.test('the process is watched once, however many servers are in it', async (t) => {
  const { app: other } = await startApp(t)
  const watched = (server: typeof app) => server.metrics.getSingleMetric('nodejs_eventloop_lag_seconds')
  t.ok(watched(app))
  t.equal(watched(other), watched(app))
  t.not(other.metrics.getSingleMetric('http_request_duration_seconds'), app.metrics.getSingleMetric('http_request_duration_seconds'))
})
