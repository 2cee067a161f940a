import t from 'tap'
import { startSim, type Cadence, type Fault } from '../../src/mistral-sim/index.ts'
import { ask, chatBody, eventsIn, FastClock, pipeline, post, rawPost, simFor, SteppedClock } from './support.ts'

const CHAT = '/v1/chat/completions'
const stream = (content: string, more: object = {}): object => chatBody(content, { stream: true, ...more })

t.test('a stream keeps its pace, and the client that leaves ends it', async (t) => {
  const clock = new SteppedClock()
  const sim = await simFor(t, { clock, cadence: { firstDelayMs: 5, chunkDelayMs: 5 } })
  const reading = rawPost(sim, CHAT, stream('one two three four five'), (text, leave) => {
    if (text.includes('one')) leave()
    else void clock.tick()
  })
  await clock.tick()
  await reading
  await sim.idle()
  const [record] = sim.requests()
  t.match(record, { aborted: true, status: 200, chunksSent: 3, msTotal: Number }, 'role, mark and "one" of eight')
})

t.test('the pace is that of the options, or of the script for one request', async (t) => {
  const clock = new FastClock()
  const sim = await simFor(t, { clock, cadence: { firstDelayMs: 7, chunkDelayMs: 20 } })
  await post(sim, CHAT, stream('a'))
  t.same(clock.waits, [7, 20, 20, 20])
  t.match(sim.requests()[0], { msToFirstByte: 0, msTotal: 67 })
  clock.waits = []
  sim.script([{ cadence: { firstDelayMs: 0, chunkDelayMs: 1, tokensPerChunk: 10 } }, { fault: { latencyMs: 300 } }])
  await post(sim, CHAT, stream('a'))
  t.same(clock.waits, [1, 1])
  clock.waits = []
  const late = await post(sim, CHAT, chatBody('a'))
  t.same(clock.waits, [300])
  t.equal(late.status, 200)
  t.equal(sim.requests()[2]?.msToFirstByte, 300)
})

t.test('comments keep a waiting connection alive', async (t) => {
  const clock = new FastClock()
  const sim = await simFor(t, { clock, cadence: { firstDelayMs: 25, keepAliveCommentMs: 10 } })
  const { text } = await post(sim, CHAT, stream('a'))
  t.match(text, /^: keep-alive\n\n: keep-alive\n\ndata: /)
  t.same(clock.waits, [10, 10, 5])
})

t.test('events are packed, framed and closed as the cadence says', async (t) => {
  const sim = await simFor(t)
  const withCadence = async (cadence: Partial<Cadence>): Promise<string> => {
    sim.script([{ cadence }])
    return (await post(sim, CHAT, stream('héllo wörld 🙂'))).text
  }
  const plain = await withCadence({})
  const unnumbered = (text: string): string => text.replace(/"id":"\w+"|"created":\d+/g, '')
  for (const packet of ['merge:2', 'merge:50', 'split:1', 'split:7'] as const) {
    t.equal(unnumbered(await withCadence({ packet })), unnumbered(plain), packet)
    t.equal(sim.requests().at(-1)?.chunksSent, 6, 'chunks are counted when they are complete')
  }
  t.match(await withCadence({ eol: 'crlf', spaceAfterColon: false }),
    /^(data:\{[^\n]*\}\r\n\r\n)+data:\[DONE\]\r\n\r\n$/)
  t.notMatch(await withCadence({ done: false }), /DONE/)
  t.notMatch(await withCadence({ usageOn: 'none' }), /usage/)
  const extra = eventsIn(await withCadence({ usageOn: 'extra-chunk' }))
  t.match(extra.at(-2), { choices: [], usage: { total_tokens: Number } })
  t.notOk('usage' in Object(extra.at(-3)))
  const [, words] = eventsIn(await withCadence({ tokensPerChunk: 3 }))
  t.match(words?.choices?.[0]?.delta?.content, /^sim:\w{8} héllo wörld$/)
  sim.reset()
  sim.script([{ cadence: { packet: 'split:1' } }])
  const { text } = await rawPost(sim, CHAT, stream('é'))
  t.match(text, /(\r\n1\r\n[^\r]\r\n1\r\n[^\r]){20}/, 'each byte is a chunk of the transfer encoding')
})

t.test('a stream can stay open after its end', async (t) => {
  const sim = await simFor(t, { cadence: { holdOpenAfterDone: true } })
  const { text } = await rawPost(sim, CHAT, stream('a'), (text, leave) => { if (text.includes('[DONE]')) leave() })
  t.match(text, /\[DONE\]/)
  await sim.idle()
  t.equal(sim.requests()[0]?.aborted, true)
})

t.test('a scripted status comes in every form', async (t) => {
  const sim = await simFor(t)
  const answered = async (status: Fault['status']): Promise<[number, string | null, string]> => {
    sim.script([{ fault: { status } }])
    const reply = await post(sim, CHAT, chatBody('a'))
    return [reply.status, reply.headers.get('content-type'), reply.text]
  }
  const json = 'application/json'
  t.match(await answered({ code: 429 }), [429, json, /"object":"error".*"code":"1300","raw_status_code":429/])
  t.match(await answered({ code: 503 }), [503, json, /Service tier capacity exceeded/])
  t.match(await answered({ code: 502 }), [502, json, /internal_server_error/])
  t.match(await answered({ code: 422, bodyShape: 'detail' }), [422, json, /^\{"detail":\[\{"type":"value_error"/])
  t.match(await answered({ code: 422, bodyShape: 'wrapped' }), [422, json, /"message":\{"detail":\[/])
  t.match(await answered({ code: 422, bodyShape: 'string' }), [422, json, /"message":"\{\\"detail/])
  t.match(await answered({ code: 400, bodyShape: 'conversation' }), [400, json, /"object":"Error".*"code":3001/])
  t.match(await answered({ code: 429, bodyShape: 'gateway' }), [429, json, /^\{"message":"Requests rate limit/])
  t.match(await answered({ code: 401, bodyShape: 'notice' }), [401, json, '{"detail":"Unauthorized"}'])
  t.match(await answered({ code: 403, bodyShape: 'guardrail' }), [403, json, /"error":\{"message":"Content blocked/])
  t.match(await answered({ code: 520, bodyShape: 'html' }), [520, 'text/html', /^<!DOCTYPE html>/])
  t.same(await answered({ code: 504, bodyShape: 'empty' }), [504, null, ''])
  sim.script([{ fault: { status: { code: 429, headers: { 'retry-after': '2' } } } }])
  t.equal((await post(sim, CHAT, chatBody('a'))).headers.get('retry-after'), '2')
  t.match(sim.requests().at(-1), { status: 429, fault: { status: { code: 429 } } })
  t.equal((await post(sim, CHAT, chatBody('a'))).status, 200, 'a script is used up')
})

t.test('faults break a stream where they say', async (t) => {
  const sim = await simFor(t)
  const broken = async (fault: Fault): Promise<{ events: ReturnType<typeof eventsIn>, end: string, text: string }> => {
    sim.script([{ fault }])
    const { text, end } = await rawPost(sim, CHAT, stream('one two three'), (text, leave) => {
      const chunks = eventsIn(text).length
      if ('hangAfter' in fault && chunks === fault.hangAfter?.chunks) leave()
    })
    await sim.idle()
    return { events: eventsIn(text), end, text }
  }
  const reset = await broken({ reset: { afterChunks: 2 } })
  t.match([reset.end, reset.events.length], ['reset', 2])
  t.match(sim.requests().at(-1), { chunksSent: 2, aborted: true })
  const head = await broken({ reset: { at: 'headers' } })
  t.same([head.end, head.text], ['reset', 'HTTP/1.1 200 OK\r\ncontent-ty'])
  const cut = await broken({ truncate: { chunks: 3 } })
  t.match([cut.end, cut.events.length], ['end', 3])
  t.match(cut.text, /\r\n0\r\n\r\n$/, 'a clean end of the reply')
  t.equal((await broken({ truncate: true })).events.length, 3, 'half of six')
  t.equal((await broken({ hangAfter: { chunks: 4 } })).events.length, 4)
  t.match(sim.requests().at(-1), { chunksSent: 4, aborted: true, status: 200 })
  const bad = await broken({ malformed: 'badJson' })
  t.equal(bad.events.filter((event) => typeof event === 'string').length, 2, 'the broken one and [DONE]')
  t.match((await broken({ errorChunk: 'mistral' })).events.at(-1), { object: 'error', code: '1000' })
  t.match((await broken({ errorChunk: 'openai' })).events.at(-1), { error: { code: 500 } })
  t.match((await broken({ errorChunk: 'finish_reason' })).events.at(-1), { choices: [{ finish_reason: 'error' }] })
  const empty = await broken({ emptyContent: true })
  t.same(empty.events.map((event) => event.choices?.[0]?.delta?.content), ['', '', undefined])
})

t.test('faults break a reply in one piece as well', async (t) => {
  const sim = await simFor(t)
  const broken = async (fault: Fault, path = CHAT, body: object = chatBody('one')): Promise<unknown> => {
    sim.script([{ fault }])
    const { text, end } = await rawPost(sim, path, body, (text, leave) => {
      if ('hangAfter' in fault && text.includes('"id"')) leave()
    })
    await sim.idle()
    return [end, text.slice(text.indexOf('\r\n\r\n') + 4)]
  }
  t.match(await broken({ reset: { afterChunks: 1 } }), ['reset', /^[^}]*"id"/])
  t.match(await broken({ truncate: true }), ['end', /"id"[^}]*\r\n0\r\n\r\n$/])
  t.match(await broken({ hangAfter: { chunks: 1 } }), ['end', /"id"/])
  t.match(await broken({ malformed: 'badJson' }), ['end', /"id"/])
  t.match(await broken({ errorChunk: 'mistral' }), ['end', /"object":"error"/])
  t.match(await broken({ errorChunk: 'openai' }), ['end', /"error":\{/])
  t.match(await broken({ errorChunk: 'finish_reason' }), ['end', /"finish_reason":"error","message"/])
  t.match(await broken({ errorChunk: 'finish_reason' }, '/v1/embeddings', { model: 'mistral-embed', input: 'a' }),
    ['end', /"object":"list"/])
  t.match(await broken({ emptyContent: true }), ['end', /"finish_reason":"stop".*"content":""/])
  t.match(await broken({ emptyContent: true }, '/v1/conversations', { inputs: 'a' }), ['end', /"content":""/])
})

t.test('a reply that never comes is over when the client leaves', async (t) => {
  const sim = await simFor(t)
  for (const fault of [{ hang: true }, { latencyMs: 60_000 }] as Fault[]) {
    sim.script([{ fault }])
    const leaving = new AbortController()
    const request = fetch(sim.url + CHAT, {
      method: 'POST',
      body: JSON.stringify(chatBody('a')),
      headers: { authorization: 'Bearer sim', 'content-type': 'application/json' },
      signal: leaving.signal
    })
    while (sim.requests().at(-1)?.fault !== fault) await new Promise(setImmediate)
    leaving.abort()
    await t.rejects(request)
    await sim.idle()
    t.match(sim.requests().at(-1), { status: null, aborted: true, bytesSent: 0 })
  }
})

t.test('the script picks its requests', async (t) => {
  const sim = await simFor(t)
  const status = async (content: string, more: object = {}): Promise<number> =>
    (await post(sim, CHAT, chatBody(content, more))).status
  const fault = (code: number): Fault => ({ status: { code } })
  sim.script([
    { match: { textIncludes: 'special' }, fault: fault(500) },
    { match: { route: '/v1/embeddings' }, fault: fault(501) },
    { match: { model: 'codestral-latest' }, times: 2, fault: fault(502) },
    { match: { textIncludes: 'third', nth: 3 }, fault: fault(503) }
  ])
  t.equal(await status('plain'), 200)
  t.equal(await status('a special one'), 500)
  t.equal(await status('a special one'), 200)
  for (const expected of [200, 200, 503, 200]) t.equal(await status('third'), expected)
  const code = { model: 'codestral-latest' }
  t.same([await status('x', code), await status('x', code), await status('x', code)], [502, 502, 200])
  sim.reset()
  t.equal((await post(sim, '/v1/embeddings', { model: 'mistral-embed', input: 'a' })).status, 200)
  sim.script([{ fault: fault(500) }])
  t.equal((await post(sim, CHAT, '{oops', {})).status, 500, 'the script comes before every check')
})

t.test('requests are recorded without keys, in order, within bounds', async (t) => {
  const sim = await simFor(t)
  await post(sim, `${CHAT}?a=1&b=2`, chatBody('a'), { authorization: 'secret-one', 'content-type': 'application/json' })
  await post(sim, CHAT, chatBody('a'), { authorization: 'Bearer secret-two', 'content-type': 'application/json' })
  const [first, second] = sim.requests()
  t.match(first, {
    seq: 1,
    method: 'POST',
    path: CHAT,
    query: 'a=1&b=2',
    status: 401,
    schemaErrors: [],
    json: { model: String },
    headers: { authorization: /^sha256:[0-9a-f]{12}$/ }
  })
  t.match(second, { seq: 2, status: 200, headers: { authorization: /^Bearer sha256:[0-9a-f]{12}$/ }, chunksSent: 1 })
  t.same(JSON.parse(second?.rawBody ?? ''), chatBody('a'))
  t.ok(Number(second?.bytesSent) > 200)
  sim.reset()
  await pipeline(sim, 1070)
  t.equal(sim.requests().length, 1000)
  t.equal(sim.requests()[0]?.seq, 71)
  t.equal(new Set(sim.requests().map(({ connectionId }) => connectionId)).size, 1, 'all on one connection')
})

t.test('strict mode fails the end of a run that sent what the API refuses', async (t) => {
  const strict = await startSim({ strict: true })
  await post(strict, CHAT, chatBody('fine'))
  strict.script([{ fault: { status: { code: 500 } } }])
  await post(strict, CHAT, chatBody('a', { store: false }))
  strict.reset()
  await post(strict, CHAT, '{oops')
  const message = /2 request.*\nPOST .*: extra_forbidden at body\.store\nPOST .*: json_invalid/
  await t.rejects(strict.close(), { message })
  const expecting = await startSim({ strict: (record) => record.rawBody.includes('store') })
  await post(expecting, CHAT, chatBody('a', { store: false }))
  await expecting.close()
  const other = await startSim({ strict: (record) => record.rawBody.includes('store') })
  await post(other, CHAT, chatBody('a', { seed: 1 }))
  await t.rejects(other.close(), { message: /body\.seed/ })
  const lax = await startSim()
  await post(lax, CHAT, {})
  await lax.close()
})

t.test('the control routes do what the functions do', async (t) => {
  const sim = await simFor(t, { control: true })
  const script = [{ match: { nth: 1 }, fault: { status: { code: 503 }, latencyMs: 0 }, cadence: { packet: 'merge:2' } }]
  t.same((await post(sim, '/__sim/script', { script })).json, { ok: true })
  t.equal((await post(sim, CHAT, chatBody('a'))).status, 503)
  const seen = (await ask(sim, 'GET', '/__sim/requests')).json
  t.match(seen, { requests: [{ seq: 1, path: CHAT, status: 503 }] })
  t.same((await ask(sim, 'DELETE', '/__sim/requests')).json, { ok: true })
  t.same(sim.requests(), [], 'and control requests are not recorded')
  await post(sim, CHAT, chatBody('a'))
  t.equal(sim.requests()[0]?.seq, 2)
  t.same((await post(sim, '/__sim/reset', {})).json, { ok: true })
  t.same(sim.requests(), [])
  const bad = await post(sim, '/__sim/script', { script: [{ fault: { explode: true } }] })
  t.match([bad.status, bad.json.message], [400, 'script.0.fault.explode: Extra inputs are not permitted'])
  t.equal((await post(sim, '/__sim/script', { script: [{ cadence: { packet: 'lumps' } }] })).status, 400)
  t.equal((await post(sim, '/__sim/script', '{oops')).status, 422)
  t.equal((await ask(sim, 'GET', '/__sim/other')).status, 404)
})

t.test('a mistake inside answers 500 and the simulator lives', async (t) => {
  let broken = true
  const sim = await simFor(t, {
    tokenizer: (text) => {
      if (broken) throw new Error('a tokenizer that fails')
      return text.length
    }
  })
  const { status, json } = await post(sim, CHAT, chatBody('a'))
  t.match([status, json], [500, { object: 'error', type: 'internal_server_error' }])
  broken = false
  t.equal((await post(sim, CHAT, chatBody('a'))).status, 200)
})

t.test('a port that is taken is an error, and closing ends open requests', async (t) => {
  const sim = await startSim()
  await t.rejects(startSim({ port: sim.port }), { code: 'EADDRINUSE' })
  sim.script([{ fault: { hang: true } }])
  const hanging = rawPost(sim, CHAT, chatBody('a'))
  while (sim.requests()[0]?.fault === undefined || sim.requests()[0]?.fault === null) await new Promise(setImmediate)
  await sim.close()
  t.match(await hanging, { text: '' })
})
