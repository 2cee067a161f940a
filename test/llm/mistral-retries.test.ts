import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { type ApiError } from '../../src/errors.ts'
import { type AttemptReport } from '../../src/llm/mistral/attempt-report.ts'
import { type MistralOptions } from '../../src/llm/mistral/mistral-client.ts'
import { type PromptMessage } from '../../src/llm/provider.ts'
import {
  type Client, type Exchange, type Upstream, ask, begin, bodyOf, chunk, codeOf, completion, connect, done, drain, event,
  startUpstream, streamOf, talk
} from './mistral-upstream.ts'

type Answer = (exchange: Exchange) => unknown

const whole = bodyOf(completion('Hello'))
const streamed = streamOf(event(chunk('Hello', 'stop')), done)
const quick = { baseMs: 1, limiterWindowMs: 2, random: () => 0.5 }

interface Copes extends Client { readonly upstream: Upstream, readonly reports: AttemptReport[] }

/** A client that copes, and an upstream that gives these answers, the last of them again and again. */
async function meet (t: Test, answers: Answer[], options: Partial<MistralOptions> = {}): Promise<Copes> {
  const left = [...answers]
  const upstream = await startUpstream(t, (exchange) => (left.length > 1 ? left.shift()! : left[0]!)(exchange))
  const client = connect(t, upstream.url, { retry: quick, ...options })
  const reports: AttemptReport[] = []
  client.provider.attempts.on('attempt', (report) => { reports.push(report) })
  return { ...client, upstream, reports }
}

const outcomes = (reports: AttemptReport[]): string[] => reports.map(({ outcome }) => outcome)

t.test('what may pass is tried again, three times in all', async (t) => {
  const reset: Answer = ({ request }) => { request.socket.resetAndDestroy() }
  const failures: Record<string, [Answer, string]> = {
    429: [bodyOf('', 429), 'upstream_rate_limited'],
    500: [bodyOf('', 500), 'upstream_failed'],
    502: [bodyOf('<html>', 502), 'upstream_failed'],
    503: [bodyOf('', 503), 'upstream_unavailable'],
    504: [bodyOf('', 504), 'upstream_failed'],
    520: [bodyOf('<html>', 520), 'upstream_failed'],
    408: [bodyOf('', 408), 'upstream_timeout'],
    'a reset': [reset, 'upstream_unavailable'],
    'no text': [bodyOf(completion('')), 'upstream_failed'],
    'no JSON': [bodyOf('{"choi'), 'upstream_failed'],
    'a break in the middle': [({ response }) => {
      response.writeHead(200)
      response.write('{', () => setImmediate(() => response.socket?.resetAndDestroy()))
    }, 'upstream_failed']
  }
  for (const [name, [answer, code]] of Object.entries(failures)) {
    const mended = await meet(t, [answer, answer, whole])
    t.strictSame((await talk(mended.provider, { stream: false })).texts, ['Hello'], name)
    t.strictSame(outcomes(mended.reports), [code, code, 'completed'], name)
    const broken = await meet(t, [answer])
    t.equal(codeOf(await talk(broken.provider, { stream: false })), code, name)
    t.equal(broken.upstream.exchanges.length, 3, name)
    t.equal(broken.log.length, 3, name)
  }
})

t.test('what will not pass is not tried again', async (t) => {
  for (const status of [301, 400, 401, 402, 403, 404, 422]) {
    const { provider, upstream } = await meet(t, [bodyOf('{"message":"no"}', status)])
    t.equal(codeOf(await talk(provider)), 'upstream_rejected')
    t.equal(upstream.exchanges.length, 1, String(status))
  }
})

t.test('a reader of a stream is spared a second beginning', async (t) => {
  const early: Answer[] = [
    ({ response }) => begin(response, chunk('')),
    streamOf(event(chunk(''))),
    streamOf(event({ error: { code: 503 } })),
    bodyOf('<html>', 200, { 'content-type': 'text/html' })
  ]
  for (const answer of early) {
    const { provider, reports } = await meet(t, [answer, streamed], { firstTokenTimeoutMs: 20 })
    t.strictSame((await talk(provider)).texts, ['Hello'])
    t.equal(reports.length, 2)
  }
  const late: Answer[] = [
    ({ response }) => begin(response, chunk('Hel')),
    streamOf(event(chunk('Hel'))),
    streamOf(event(chunk('Hel')), event({ error: { code: 503 } }))
  ]
  for (const answer of late) {
    const { provider, upstream } = await meet(t, [answer, streamed], { idleTimeoutMs: 20 })
    const reply = await talk(provider)
    t.strictSame(reply.texts, ['Hel'])
    t.match(codeOf(reply), /^upstream_/)
    t.equal(upstream.exchanges.length, 1)
  }
})

t.test('an error within a good answer is told by the status it names', async (t) => {
  const cases: Array<[object, string]> = [
    [{ error: { code: 429, message: 'slow' } }, 'upstream_rate_limited'],
    [{ error: { code: '503' } }, 'upstream_unavailable'],
    [{ error: { message: 'Blocked', status: 403 } }, 'upstream_rejected'],
    [{ object: 'error', code: '1300', raw_status_code: 429 }, 'upstream_rate_limited'],
    [{ object: 'error', code: '3230', type: 'odd' }, 'upstream_failed'],
    [{ error: 'Unexpected endpoint' }, 'upstream_failed'],
    [{ error: { code: null } }, 'upstream_failed']
  ]
  for (const [body, code] of cases) {
    const once = { retry: { ...quick, attempts: 1 } }
    t.equal(codeOf(await talk((await meet(t, [bodyOf(body)], once)).provider, { stream: false })), code)
    t.equal(codeOf(await talk((await meet(t, [streamOf(event(body))], once)).provider)), code)
  }
})

t.test('a wait that does not fit into what is left of the time is not begun', async (t) => {
  for (const [status, code] of [[503, 'upstream_unavailable'], [429, 'upstream_rate_limited']] as const) {
    const { provider, upstream } = await meet(t, [bodyOf('', status, { 'retry-after': '20' }), whole], { timeoutMs: 10_000 })
    const { error } = await talk(provider, { stream: false })
    t.match(error, { code, headers: { 'retry-after': /^2[01]$/ } })
    t.equal(upstream.exchanges.length, 1)
    const next = await talk(provider, { stream: false })
    t.equal(codeOf(next), status === 429 ? code : undefined, 'a limiter keeps others back as well')
  }
})

t.test('the wait asked for is kept, in whatever form it is asked for', async (t) => {
  const forms: Array<Record<string, string>> = [
    { 'retry-after': '20' }, { 'retry-after': new Date(Date.now() + 20_000).toUTCString() },
    { 'retry-after': 'soon', 'ratelimitbysize-reset': '20' }, { 'ratelimitbysize-reset': '20' }
  ]
  for (const headers of forms) {
    const { provider, upstream } = await meet(t, [bodyOf('', 429, headers), whole], { timeoutMs: 10_000 })
    const { error } = await talk(provider, { stream: false })
    t.match((error as ApiError).headers, { 'retry-after': /^(19|20|21)$/ })
    t.equal(upstream.exchanges.length, 1)
  }
  const short = await meet(t, [bodyOf('', 429, { 'retry-after': '0.02' }), whole])
  t.strictSame((await talk(short.provider, { stream: false })).texts, ['Hello'])
})

t.test('the total is one for all attempts and the waits between them', async (t) => {
  const slow = await meet(t, [() => {}], { firstTokenTimeoutMs: 25, timeoutMs: 60 })
  t.equal(codeOf(await talk(slow.provider)), 'upstream_timeout')
  t.ok(slow.upstream.exchanges.length < 4)
  const last = slow.reports.at(-1)
  t.equal(last?.outcome, 'upstream_timeout')
  await Promise.all(slow.upstream.exchanges.map(({ disconnected }) => disconnected))
  const waiting = await meet(t, [() => {}], { maxConcurrency: 1, timeoutMs: 40 })
  const replies = await Promise.all([talk(waiting.provider), talk(waiting.provider)])
  t.strictSame(replies.map(codeOf), ['upstream_timeout', 'upstream_timeout'])
  t.equal(waiting.upstream.exchanges.length, 1, 'one never got a slot')
})

t.test('an abort ends a wait at once, and nothing is sent after it', async (t) => {
  const { provider, upstream, reports } = await meet(t, [bodyOf('', 503, { 'retry-after': '10' })])
  const stop = new AbortController()
  const reason = new Error('stopped')
  const reply = talk(provider, { signal: stop.signal })
  while (reports.length === 0) await new Promise(setImmediate)
  await new Promise(setImmediate)
  stop.abort(reason)
  t.equal((await reply).error, reason)
  t.equal(upstream.exchanges.length, 1)
})

t.test('when the client is closed nothing is tried again', async (t) => {
  const { provider, upstream, reports } = await meet(t, [() => {}], { maxConcurrency: 1 })
  const replies = [talk(provider), talk(provider)]
  while (upstream.exchanges.length === 0) await new Promise(setImmediate)
  await provider.close()
  t.strictSame((await Promise.all(replies)).map(codeOf), ['upstream_unavailable', 'upstream_unavailable'])
  t.equal(upstream.exchanges.length, 1)
  t.equal(reports.length, 2)
})

const exchangesOf = (count: number): PromptMessage[] => [
  { role: 'system', content: 'Be kind.' },
  ...Array.from({ length: count }, (_, index): PromptMessage[] => [
    { role: 'user', content: `question ${index} `.repeat(20) }, { role: 'assistant', content: `answer ${index} `.repeat(20) }
  ]).flat(),
  { role: 'user', content: 'the newest' }
]

const sentMessages = ({ body }: Exchange): string[] =>
  (JSON.parse(body) as { messages: Array<{ content: string }> }).messages.map(({ content }) => content)

t.test('a prompt that is too large is cut and sent once more', async (t) => {
  const forms: object[] = [
    { object: 'error', message: 'Prompt contains 4600 tokens, too large for model with 2000 maximum context length', code: '3051' },
    { object: 'error', message: "This model's maximum context length is 2000 tokens. However, you requested 4600 tokens (4500 in the messages, 100 in the completion).", code: 400 },
    { error: { message: 'This model\'s maximum context length is 2000 tokens.', code: 'context_length_exceeded' } },
    { error: { message: 'the request exceeds the available context size (2000 tokens), try increasing it', code: 400 } },
    { error: { message: 'the request exceeds the available context size, try increasing it', code: 400 } },
    { error: { message: 'too long', code: 'context_length_exceeded' } }
  ]
  for (const form of forms) {
    const { provider, upstream, reports } = await meet(t, [bodyOf(form, 400), whole], { retry: { ...quick, random: () => 0.99 } })
    const request = { ...ask(''), messages: exchangesOf(40) }
    t.strictSame((await drain(provider.generate(request, { stream: false, signal: new AbortController().signal }))).texts, ['Hello'])
    const [first, second] = upstream.exchanges.map(sentMessages)
    t.equal(first?.length, 82)
    t.ok(second!.length < 50 && second!.length > 4, `${second?.length} of 82 messages went again`)
    t.strictSame([second?.[0], second?.at(-1)], ['Be kind.', 'the newest'])
    t.strictSame(outcomes(reports), ['upstream_rejected', 'completed'])
  }
})

t.test('a window that was named is remembered for its model', async (t) => {
  const message = 'Prompt contains 4600 tokens, too large for model with 2000 maximum context length'
  const { provider, upstream } = await meet(t, [bodyOf({ message }, 400), whole])
  const { signal } = new AbortController()
  const request = { ...ask(''), messages: exchangesOf(40) }
  await drain(provider.generate(request, { stream: false, signal }))
  await drain(provider.generate(request, { stream: false, signal }))
  await drain(provider.generate({ ...request, model: { name: 'another' } }, { stream: false, signal }))
  t.strictSame(upstream.exchanges.map((exchange) => sentMessages(exchange).length > 80), [true, false, false, true])
})

t.test('a prompt that cannot be cut, or is too large again, is refused', async (t) => {
  const tooLarge = bodyOf({ message: 'Prompt contains 9000 tokens, too large for model with 2000 maximum context length' }, 400)
  const short = await meet(t, [tooLarge, whole])
  t.equal(codeOf(await talk(short.provider)), 'upstream_rejected')
  t.equal(short.upstream.exchanges.length, 1)
  const long = await meet(t, [tooLarge])
  const request = { ...ask(''), messages: exchangesOf(40) }
  t.equal(codeOf(await drain(long.provider.generate(request, { stream: true, signal: new AbortController().signal }))), 'upstream_rejected')
  t.equal(long.upstream.exchanges.length, 2)
})

t.test('a compressed answer is a clear failure', async (t) => {
  const packed = gzipSync(JSON.stringify(completion('Hello')))
  const { provider, upstream, log } = await meet(t, [({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
    response.end(packed)
  }])
  const reply = await talk(provider, { stream: false })
  t.equal(codeOf(reply), 'upstream_failed')
  t.match(String(reply.error), /compressed/)
  t.equal(upstream.exchanges[0]?.request.headers['accept-encoding'], 'identity')
  t.equal(log[0]?.facts.status, 200)
  const plain = await meet(t, [bodyOf(completion('Hello'), 200, { 'content-encoding': 'identity' })])
  t.strictSame((await talk(plain.provider, { stream: false })).texts, ['Hello'])
})

t.test('every attempt is told with what became of it', async (t) => {
  const parts = [{ type: 'text', text: 'Hello' }, { type: 'hologram' }, 7, { type: 'thinking', thinking: [] }]
  const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
  const { provider, reports } = await meet(t, [
    bodyOf('', 500), streamOf(event(chunk(parts)), event(chunk([{ type: 'new' }], 'stop', { usage })), done),
    ({ response }) => begin(response, chunk('Hello'))
  ])
  await talk(provider)
  t.match(reports, [
    { model: 'mistral-small-latest', attempt: 1, stream: true, outcome: 'upstream_failed', status: 500, msToHead: Number, msTotal: Number },
    { attempt: 2, outcome: 'completed', status: 200, unknownChunks: 3, usage: { totalTokens: 7 }, msToFirstText: Number }
  ])
  t.strictSame([reports[0]?.msToFirstText, reports[0]?.usage, reports[0]?.unknownChunks], [undefined, undefined, 0])
  for await (const { type } of provider.generate(ask('Hi', { name: 'own' }), { stream: true, signal: new AbortController().signal })) {
    if (type === 'text') break
  }
  while (reports.length < 3) await new Promise(setImmediate)
  t.match(reports[2], { model: 'own', attempt: 1, outcome: 'aborted', status: 200 })
  const list = await meet(t, [bodyOf(completion(parts))])
  await talk(list.provider, { stream: false })
  t.match(list.reports, [{ stream: false, unknownChunks: 2 }])
})

t.test('a connection that goes away under a request is no failure of the turn', async (t) => {
  let closing: Exchange | undefined
  const { provider, reports } = await meet(t, [whole, (exchange) => {
    closing = exchange
    exchange.request.socket.destroy()
  }, whole], { maxConcurrency: 1 })
  t.strictSame((await talk(provider, { stream: false })).texts, ['Hello'])
  t.strictSame((await talk(provider, { stream: false })).texts, ['Hello'])
  t.ok(closing)
  t.strictSame(outcomes(reports), ['completed', 'upstream_unavailable', 'completed'])
})

t.test('the budget told by good answers of either generation bounds the calls in flight', async (t) => {
  const headers: Array<Record<string, string>> = [
    { 'x-ratelimit-remaining-req-minute': '1' },
    { 'x-ratelimit-remaining-tokens-minute': '100', 'x-ratelimit-tokens-query-cost': '60' },
    { 'ratelimitbysize-remaining': '100', 'ratelimitbysize-query-cost': '60', 'ratelimitbysize-reset': '30' },
    { 'ratelimitbysize-remaining': '1' }
  ]
  for (const header of headers) {
    let running = 0
    let most = 0
    const { provider } = await meet(t, [bodyOf(completion('Hello'), 200, header), ({ response }) => {
      most = Math.max(most, ++running)
      setImmediate(() => {
        running--
        bodyOf(completion('Hello'), 200, header)({ response } as Exchange)
      })
    }])
    await talk(provider, { stream: false })
    await Promise.all(Array.from({ length: 5 }, async () => await talk(provider, { stream: false })))
    t.equal(most, 1, JSON.stringify(header))
  }
  const empty = { 'ratelimitbysize-remaining': '10', 'ratelimitbysize-query-cost': '60', 'ratelimitbysize-reset': '30' }
  const { provider } = await meet(t, [bodyOf(completion('Hello'), 200, empty)], { timeoutMs: 10_000 })
  t.strictSame((await talk(provider, { stream: false })).texts, ['Hello'])
  t.equal(codeOf(await talk(provider, { stream: false })), 'upstream_rate_limited')
})
