import { Writable } from 'node:stream'
import { json } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { loggerOptions } from '../../src/logging.ts'
import { allOf, startApp } from '../helper.ts'
import { startLoopback } from '../oauth/loopback-server.ts'
import { startTestSim } from '../sim.ts'

interface Value { readonly stringValue?: string, readonly intValue?: number | string, readonly doubleValue?: number, readonly arrayValue?: { readonly values: Value[] } }
interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly attributes: Array<{ readonly key: string, readonly value: Value }>
  readonly status: { readonly code?: number }
}
interface Export { readonly resourceSpans: Array<{ readonly resource: { readonly attributes: Span['attributes'] }, readonly scopeSpans: Array<{ readonly spans: Span[] }> }> }

const [SERVER, CLIENT, ERROR] = [2, 3, 2]
const plain = (value: Value): unknown => value.arrayValue ? value.arrayValue.values.map(plain) : value.stringValue ?? Number(value.intValue ?? value.doubleValue)
const attributesOf = ({ attributes }: Pick<Span, 'attributes'>) => Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]))

/** A collector that takes traces as JSON. */
async function startCollector (t: Test) {
  const exports: Export[] = []
  const { url } = await startLoopback(t, () => (request, response) => {
    void json(request).then((body) => {
      exports.push(body as Export)
      response.writeHead(request.url === '/otlp/v1/traces' ? 200 : 404, { 'content-type': 'application/json' }).end('{}')
    })
  })
  return { url: `${url}/otlp`, exports, spans: () => exports.flatMap(({ resourceSpans }) => resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))) }
}

function logged () {
  let written = ''
  const stream = new Writable({ write (chunk, _encoding, done) { written += String(chunk); done() } })
  const lineOf = async (id: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const line = written.split('\n').filter(Boolean).map((text) => JSON.parse(text) as Record<string, unknown>)
        .find(({ requestId, msg }) => requestId === id && msg === 'request')
      if (line) return line
      await new Promise(setImmediate)
    }
  }
  return { logger: { ...loggerOptions('info'), stream }, lineOf, text: () => written }
}

const theirs = { trace: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7' }
const traceparent = `00-${theirs.trace}-${theirs.span}-01`

t.test('a turn is one trace, from who asked to the model and the store', async (t) => {
  const [collector, sim, log] = [await startCollector(t), await startTestSim(t), logged()]
  const { app, client } = await startApp(t, {
    MISTRAL_BASE_URL: sim.url, MISTRAL_API_KEY: 'sim', OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SERVICE_NAME: 'parley-test'
  }, { logger: log.logger })
  const path = `/api/sessions/${await client.converse({ model: { name: 'mistral-small-latest', temperature: 0.5, maxTokens: 100 } })}/messages`
  await client.ask(`${path}?onBusy=queue`, { body: { message: 'canary in a message' }, headers: { traceparent, 'x-request-id': 'whole' } })
  const { events } = await client.events(path, { body: { message: 'canary in a stream' }, headers: { 'x-request-id': 'streamed' } })
  await allOf(events)
  sim.script([1, 2, 3].map(() => ({ fault: { status: { code: 500 } } })))
  await client.ask(path, { body: { message: 'canary in a failure' }, headers: { 'x-request-id': 'failed' } })
  const [whole, streamed, failed] = await Promise.all(['whole', 'streamed', 'failed'].map(log.lineOf))
  await client.ask('/nothing?token=canary')
  await app.close()

  t.match(attributesOf(collector.exports[0]!.resourceSpans[0]!.resource), { 'service.name': 'parley-test', 'service.version': /^\d/ })
  const spans = collector.spans()
  const of = (traceId: unknown) => spans.filter((span) => span.traceId === traceId)
  const ofTheirs = of(theirs.trace)
  const server = ofTheirs.find(({ kind }) => kind === SERVER)!
  t.match(server, { name: 'POST /api/sessions/:id/messages', parentSpanId: theirs.span })
  t.match(attributesOf(server), { 'http.request.method': 'POST', 'http.route': '/api/sessions/:id/messages', 'http.response.status_code': 200, 'parley.request.id': 'whole', 'parley.tenant.id': 'default' })
  const model = ofTheirs.find(({ name }) => name.startsWith('chat '))!
  t.match(model, { name: 'chat mistral-small-latest', kind: CLIENT, parentSpanId: server.spanId })
  t.match(attributesOf(model), {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'mistral_ai',
    'gen_ai.request.model': 'mistral-small-latest',
    'gen_ai.request.temperature': 0.5,
    'gen_ai.request.max_tokens': 100,
    'gen_ai.response.model': /mistral-small/,
    'gen_ai.response.finish_reasons': ['stop'],
    'gen_ai.usage.input_tokens': Number,
    'gen_ai.usage.output_tokens': Number,
    'http.response.status_code': 200
  })
  t.equal(sim.requests()[0]?.headers['traceparent'], `00-${theirs.trace}-${model.spanId}-01`, 'the model is told')
  const commands = ofTheirs.filter((span) => 'db.system.name' in attributesOf(span))
  t.ok(commands.some(({ name }) => name === 'insert') && commands.every(({ parentSpanId }) => parentSpanId === server.spanId), 'commands of the store')
  t.equal(whole?.['traceId'], theirs.trace)

  const ofStream = of(streamed?.['traceId'])
  t.ok(ofStream.some(({ name }) => name === 'chat mistral-small-latest') && ofStream.some(({ kind }) => kind === SERVER), 'a stream has both, too')
  t.not(streamed?.['traceId'], theirs.trace)
  const failures = of(failed?.['traceId']).filter(({ name }) => name.startsWith('chat '))
  t.equal(failures.length, 3, 'a span for each attempt')
  for (const span of failures) t.match({ ...span, ...attributesOf(span) }, { status: { code: ERROR }, 'error.type': 'upstream_failed', 'http.response.status_code': 500 })
  t.match(of(failed?.['traceId']).find(({ kind }) => kind === SERVER), { status: { code: ERROR } })
  t.ok(spans.some(({ name }) => name === 'GET'), 'a path that is not known has no name')
  t.notMatch(JSON.stringify(collector.exports), 'canary')
})

t.test('a collector that is away holds nobody up', async (t) => {
  const { app, client } = await startApp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' })
  t.equal((await client.ask('/api/configs')).status, 200)
  await app.mongo.client.close()
  t.equal((await client.ask('/api/configs')).status, 503)
})

t.test('without a collector there are no spans, and the log has the trace of who asked', async (t) => {
  const log = logged()
  const { app, client } = await startApp(t, {}, { logger: log.logger })
  t.equal(app.tracing, undefined)
  await client.ask('/api/configs', { headers: { traceparent, 'x-request-id': 'traced' } })
  t.match(await log.lineOf('traced'), { traceId: theirs.trace })
  await client.ask('/api/configs', { headers: { traceparent: 'made up', 'x-request-id': 'untraced' } })
  t.notOk('traceId' in await log.lineOf('untraced'))
  t.notMatch(log.text(), 'made up')
})
