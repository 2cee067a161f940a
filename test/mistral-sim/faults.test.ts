import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { type Fault, type Sim } from '../../src/mistral-sim/index.ts'
import { bodyOf, chatBody, eventsIn, FastClock, type Json, post, type RawReply, rawPost, simFor } from './support.ts'

const CHAT = '/v1/chat/completions'
const TEXT = 'one two three'

interface Broken extends RawReply {
  head: string
  body: string
  events: Json[]
}

/** One chat with a fault, seen by a bare socket, which leaves once so many events or bytes of a body are there. */
async function broken (sim: Sim, fault: Fault, body: object, leaveAfter = Infinity): Promise<Broken> {
  sim.script([{ fault }])
  const reply = await rawPost(sim, CHAT, body, (text, leave) => {
    if (text.split('data: ').length > leaveAfter) leave()
  })
  await sim.idle()
  const text = bodyOf(reply).toString()
  return { ...reply, head: reply.text.split('\r\n\r\n')[0] ?? '', body: text, events: eventsIn(text) }
}

const stream = (sim: Sim, fault: Fault, leaveAfter?: number): Promise<Broken> =>
  broken(sim, fault, chatBody(TEXT, { stream: true }), leaveAfter)
const whole = (sim: Sim, fault: Fault): Promise<Broken> => broken(sim, fault, chatBody(TEXT))

const textOf = (events: Json[]): string =>
  events.map((event) => event.choices?.[0]?.delta?.content).filter((text) => typeof text === 'string').join('')

t.test('a status comes in every form', async (t) => {
  const sim = await simFor(t)
  const json = 'application/json'
  const forms: Array<[NonNullable<Fault['status']>, string | null, RegExp]> = [
    [{ code: 429 }, json, /^{"object":"error",.*"param":null,"code":"1300","raw_status_code":429}$/],
    [{ code: 503 }, json, /Service tier capacity exceeded/],
    [{ code: 502, bodyShape: 'mistral' }, json, /internal_server_error/],
    [{ code: 422, bodyShape: 'detail' }, json, /^\{"detail":\[\{"type":"value_error"/],
    [{ code: 422, bodyShape: 'wrapped' }, json, /"message":\{"detail":\[/],
    [{ code: 422, bodyShape: 'string' }, json, /"message":"\{\\"detail/],
    [{ code: 400, bodyShape: 'conversation' }, json, /"object":"Error","message":"Bad request".*"code":3001/],
    [{ code: 400, bodyShape: 'conversationDetail' }, json, /"message":\["Bad request"\],"detail":\[.*"code":3230/],
    [{ code: 429, bodyShape: 'gateway' }, json, /^\{"message":"Requests rate limit exceeded","request_id":"\w{32}"\}$/],
    [{ code: 401, bodyShape: 'notice' }, json, /^\{"detail":"Unauthorized"\}$/],
    [{ code: 403, bodyShape: 'guardrail' }, json, /^\{"error":\{"message":"Content blocked.*"guardrails":\{"results/],
    [{ code: 403, bodyShape: 'guardrailError' }, json, /"object":"Error".*"code":3201,"guardrails":\[\]/],
    [{ code: 520, bodyShape: 'html' }, 'text/html', /^<!DOCTYPE html>/],
    [{ code: 504, bodyShape: 'empty' }, null, /^$/],
    [{ code: 500, bodyShape: 'openai' }, json, /^\{"error":\{"message":".*","type":".*","param":null,"code":500\}\}$/],
    [{ code: 400, bodyShape: 'vllm' }, json, /^\{"object":"error".*"type":"BadRequestError","param":null,"code":400\}$/],
    [{ code: 402, bodyShape: 'openrouter' }, json, /^\{"error":\{"code":402,"message":".*","metadata":/],
    [{ code: 500, bodyShape: 'lmstudio' }, json, /^\{"error":"Internal server error"\}$/]
  ]
  for (const [status, type, body] of forms) {
    sim.script([{ fault: { status } }])
    const reply = await post(sim, CHAT, chatBody(TEXT))
    t.match([reply.status, reply.headers.get('content-type'), reply.text], [status.code, type, body],
      JSON.stringify(status))
    t.match(reply.headers.get('mistral-correlation-id'), /^[0-9a-f]{32}$/)
    t.match(reply.headers.get('x-kong-request-id'), /^[0-9a-f]{32}$/)
  }
  t.match(sim.requests().at(-1), { status: 500, fault: { status: { bodyShape: 'lmstudio' } } })
  t.equal((await post(sim, CHAT, chatBody(TEXT))).status, 200, 'a script is used up')
})

t.test('a status says when to come again, or has other headers', async (t) => {
  const clock = new FastClock()
  const sim = await simFor(t, { clock })
  const retryAfter = async (status: Fault['status']): Promise<string | null> => {
    sim.script([{ fault: { status } }])
    return (await post(sim, CHAT, chatBody(TEXT))).headers.get('retry-after')
  }
  t.equal(await retryAfter({ code: 429 }), null)
  t.equal(await retryAfter({ code: 429, retryAfter: { seconds: 2 } }), '2')
  await clock.wait(500)
  t.equal(await retryAfter({ code: 503, retryAfter: { seconds: 2, as: 'date' } }), 'Thu, 01 Jan 1970 00:00:03 GMT')
  t.equal(await retryAfter({ code: 429, headers: { 'retry-after': 'soon' } }), 'soon')
})

t.test('an error hides in a reply with status 200', async (t) => {
  const sim = await simFor(t)
  for (const reply of [stream, whole]) {
    const { head, body } = await reply(sim, { errorInside200: { code: 429, bodyShape: 'openrouter' } })
    t.match([head, body], [/^HTTP\/1.1 200 OK/, /^\{"error":\{"code":429/])
    t.match((await reply(sim, { errorInside200: { code: 500 } })).body, /^\{"object":"error".*"raw_status_code":500/)
  }
})

t.test('a reply comes late, or never', async (t) => {
  const clock = new FastClock()
  const sim = await simFor(t, { clock })
  t.match((await whole(sim, { latencyMs: 300 })).head, /^HTTP\/1.1 200/)
  t.same(clock.waits, [300])
  t.equal(sim.requests()[0]?.msToFirstByte, 300)
  t.match((await stream(sim, { status: { code: 500 }, latencyMs: 20 })).head, /^HTTP\/1.1 500/)
  t.same(clock.waits, [300, 20])
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

t.test('a stream stops in the middle and stays open', async (t) => {
  const sim = await simFor(t)
  t.equal((await stream(sim, { hangAfter: { chunks: 4 } }, 4)).events.length, 4)
  t.match(sim.requests().at(-1), { chunksSent: 4, aborted: true, status: 200 })
  sim.script([{ fault: { hangAfter: { chunks: 1 } } }])
  const half = await rawPost(sim, CHAT, chatBody(TEXT), (text, leave) => { if (text.includes('"id"')) leave() })
  t.match(bodyOf(half).toString(), /^\{"id"[^}]*$/, 'half of a body')
})

t.test('a connection is reset wherever that can happen', async (t) => {
  const sim = await simFor(t)
  const seen = ({ end, text }: Broken): unknown => [end, text]
  for (const reply of [stream, whole]) {
    t.same(seen(await reply(sim, { reset: { at: 'accept' } })), ['reset', ''])
    t.match(sim.requests().at(-1), { method: '', path: '', fault: { reset: { at: 'accept' } }, aborted: true })
    t.same(seen(await reply(sim, { reset: { at: 'request' } })), ['reset', ''])
    t.match(sim.requests().at(-1), { path: CHAT, status: null, aborted: true, bytesSent: 0 })
    t.same(seen(await reply(sim, { reset: { at: 'headers' } })), ['reset', 'HTTP/1.1 200 OK\r\ncontent-ty'])
  }
  const between = await stream(sim, { reset: { afterChunks: 2 } })
  t.match([between.end, between.events.length, between.body], ['reset', 2, /\n\n$/])
  t.match(sim.requests().at(-1), { chunksSent: 2, aborted: true })
  const inside = await stream(sim, { reset: { afterChunks: 2.5 } })
  t.equal(inside.end, 'reset')
  t.match(inside.events, [{ id: String }, { id: String }, /^\{"id":"[^}]*$/], 'the third chunk is cut')
  t.match(sim.requests().at(-1), { chunksSent: 2, aborted: true })
  const half = await whole(sim, { reset: { afterChunks: 1 } })
  t.match([half.end, half.body], ['reset', /^\{"id"[^}]*$/])
  t.match((await stream(sim, { reset: { afterChunks: 0 } })), { end: 'reset', head: /^HTTP\/1.1 200/, body: '' })
  t.match((await stream(sim, { reset: { afterChunks: 99 } })).events.length, 6, 'after the last chunk')
})

t.test('a reply ends cleanly and too early', async (t) => {
  const sim = await simFor(t)
  const cut = await stream(sim, { truncate: { chunks: 3 } })
  t.match([cut.end, cut.events.length, cut.text], ['end', 3, /\r\n0\r\n\r\n$/])
  t.equal((await stream(sim, { truncate: true })).events.length, 3, 'half of six')
  const inside = await stream(sim, { truncate: { chunks: 3.2 } })
  t.match([inside.end, inside.events.at(-1)], ['end', /^\{"id"[^}]*$/])
  const half = await whole(sim, { truncate: true })
  t.match([half.end, half.text, half.body], ['end', /\r\n0\r\n\r\n$/, /^\{"id"[^}]*$/])
})

t.test('a chunk is malformed in every way', async (t) => {
  const sim = await simFor(t)
  const spoken = textOf((await stream(sim, {})).events).replace(/sim:\w+/, '')
  const chunks = async (malformed: Fault['malformed']): Promise<Json[]> => (await stream(sim, { malformed })).events
  const json = async (malformed: Fault['malformed']): Promise<Json> => {
    const { head, body } = await whole(sim, { malformed })
    t.match(head, new RegExp(`content-length: ${Buffer.byteLength(body)}`, 'i'))
    return JSON.parse(body) as Json
  }
  t.equal((await chunks('badJson')).filter((event) => typeof event === 'string').length, 2, 'that one and [DONE]')
  await t.rejects(json('badJson'), SyntaxError)

  const unknown = await chunks('unknownChunkType')
  t.match(unknown[3]?.choices?.[0]?.delta, { content: [{ type: 'hologram' }] })
  t.equal(textOf(unknown).replace(/sim:\w+/, ''), spoken)
  t.match((await json('unknownChunkType')).choices?.[0]?.message?.content, [{ type: 'hologram' }, { type: 'text' }])

  const missing = await chunks('missingChoices')
  t.match([missing[3]?.choices, missing.length], [undefined, 8])
  t.equal((await json('missingChoices')).choices, undefined)
  t.same((await chunks('emptyChoices'))[3]?.choices, [])
  t.same((await json('emptyChoices')).choices, [])

  const nulls = await chunks('usageNull')
  t.same(nulls.slice(0, -2).map(({ usage }) => usage), [null, null, null, null, null])
  t.match(nulls.at(-2)?.usage, { total_tokens: Number })
  t.equal((await json('usageNull')).usage, null)

  const finished = (await chunks('duplicateFinish')).filter((event) => event.choices?.[0]?.finish_reason)
  t.match(finished, [{ usage: { total_tokens: Number } }, { usage: { total_tokens: Number } }])
  t.match((await json('duplicateFinish')).choices, [{ finish_reason: 'stop' }], 'nothing to repeat in one piece')

  sim.script([{ fault: { status: { code: 500, bodyShape: 'html' }, malformed: 'emptyChoices' } }])
  t.match((await post(sim, CHAT, chatBody(TEXT))).text, /^<!DOCTYPE/, 'what is no JSON object stays')
  sim.script([{ fault: { malformed: 'unknownChunkType' } }])
  t.match((await post(sim, '/v1/embeddings', { model: 'mistral-embed', input: 'a' })).json, { object: 'list' })
  sim.script([{ fault: { malformed: 'unknownChunkType' } }])
  const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }]
  const calling = await post(sim, CHAT, chatBody('/tool f', { tools }))
  t.match(calling.json.choices?.[0]?.message, { content: [{ type: 'hologram' }], tool_calls: [{}] })
})

t.test('an error comes in place of the rest', async (t) => {
  const sim = await simFor(t)
  const last = async (errorChunk: Fault['errorChunk']): Promise<Json | undefined> => {
    const { events, end, body } = await stream(sim, { errorChunk })
    t.match([end, body], ['end', /^(?!.*DONE)/s])
    return events.at(-1)
  }
  t.match(await last('mistral'), { object: 'error', code: '1000', raw_status_code: 500 })
  t.match(await last('openai'), { error: { code: 500 } })
  t.match(await last('finish_reason'), { choices: [{ finish_reason: 'error' }] })
  t.match((await stream(sim, { errorChunk: { form: 'openai', chunks: 0 } })).events, [{ error: { code: 500 } }])
  t.match((await whole(sim, { errorChunk: 'mistral' })), { head: /200 OK/, body: /^\{"object":"error"/ })
  t.match((await whole(sim, { errorChunk: 'openai' })).body, /^\{"error":\{/)
  t.match((await whole(sim, { errorChunk: 'finish_reason' })).body, /"finish_reason":"error","message"/)
})

t.test('a reply has no text', async (t) => {
  const sim = await simFor(t)
  const { events } = await stream(sim, { emptyContent: true })
  t.same(events.map((event) => event.choices?.[0]?.delta?.content), ['', '', undefined])
  t.match((await whole(sim, { emptyContent: true })).body, /"completion_tokens":0.*"finish_reason":"stop".*"content":""/)
  const empty = async (path: string, body: object): Promise<Json> => {
    sim.script([{ fault: { emptyContent: true } }])
    return (await post(sim, path, body)).json
  }
  t.equal((await empty('/v1/conversations', { inputs: 'a' })).outputs?.[0]?.content, '')
  const filled = await empty('/v1/fim/completions', { model: 'codestral-latest', prompt: 'a' })
  t.equal(filled.choices?.[0]?.message?.content, '')
})

t.test('a reply has the text that was ordered', async (t) => {
  const sim = await simFor(t)
  const content = 'Sure! Here it is.'
  t.equal(textOf((await stream(sim, { content })).events), content)
  t.match((await whole(sim, { content })).body, /"finish_reason":"stop".*"content":"Sure! Here it is\."/)
  const ordered = async (path: string, body: object): Promise<Json> => {
    sim.script([{ fault: { content } }])
    return (await post(sim, path, body)).json
  }
  const format = { response_format: { type: 'json_object' } }
  t.equal((await ordered(CHAT, chatBody('JSON?', format))).choices?.[0]?.message?.content, content)
  t.match((await ordered(CHAT, chatBody(TEXT, { max_tokens: 1 }))).choices, [{ finish_reason: 'length' }])
  t.equal((await ordered('/v1/conversations', { inputs: 'a' })).outputs?.[0]?.content, content)
  const filled = await ordered('/v1/fim/completions', { model: 'codestral-latest', prompt: 'a' })
  t.equal(filled.choices?.[0]?.message?.content, content)
})

t.test('a body comes at a slow pace', async (t) => {
  const clock = new FastClock()
  const sim = await simFor(t, { clock })
  const paced = async (reply: typeof whole, bytesPerSec: number): Promise<number> => {
    clock.waits = []
    const { body, events } = await reply(sim, { trickle: { bytesPerSec } })
    t.ok(events.length > 0 || JSON.parse(body))
    t.ok(clock.waits.length >= body.length / Math.ceil(bytesPerSec / 10), 'ten writes a second')
    return Math.round(body.length * 1000 / clock.waits.reduce((sum, ms) => sum + ms, 0))
  }
  t.equal(await paced(whole, 100), 100)
  t.equal(await paced(stream, 1000), 1000)
  t.equal(await paced(whole, 0.5), 1, 'at least a byte at a time')
})

t.test('a body is announced as something else', async (t) => {
  const sim = await simFor(t)
  for (const reply of [stream, whole]) {
    const type = async (contentType: Fault['contentType']): Promise<string | undefined> => {
      const { head, body } = await reply(sim, { contentType })
      t.match(body, /"id":/)
      return /^content-type: (.*)$/im.exec(head)?.[1]
    }
    t.equal(await type('text/html'), 'text/html')
    t.equal(await type('application/json'), 'application/json')
    t.equal(await type('none'), undefined)
  }
})

t.test('a body is too large', async (t) => {
  const sim = await simFor(t)
  const large = await whole(sim, { oversize: { bytes: 300_000 } })
  t.ok(large.body.length > 300_000)
  t.match(JSON.parse(large.body), { choices: [{ finish_reason: 'stop' }] })
  const { events } = await stream(sim, { oversize: { bytes: 300_000 } })
  t.same(events.map((event) => JSON.stringify(event).length > 300_000),
    [false, false, false, true, false, false, false])
  t.match(textOf(events), / one two three$/, 'the text is whole')
  t.ok((await whole(sim, { status: { code: 500 }, oversize: { bytes: 1000 } })).body.length > 1000)
})

t.test('a body is compressed without being asked', async (t) => {
  const sim = await simFor(t)
  for (const reply of [stream, whole]) {
    const packed = await reply(sim, { gzip: true })
    t.match(packed.head, /^content-encoding: gzip$/im)
    t.match(gunzipSync(bodyOf(packed)).toString(), /"finish_reason":"stop"/)
  }
})

t.test('a length is wrong', async (t) => {
  const sim = await simFor(t)
  for (const body of [chatBody(TEXT), chatBody(TEXT, { stream: true })]) {
    const lengths = async (fault: Fault): Promise<[number, number, string]> => {
      sim.script([{ fault }])
      const raw = await rawPost(sim, CHAT, body, (text, leave) => {
        if ('wrongLength' in fault && fault.wrongLength === 'tooShort' && /DONE|}\]}$/.test(text)) leave()
      }, ['connection: keep-alive'])
      const announced = Number(/^content-length: (\d+)$/im.exec(raw.text)?.[1])
      return [announced, bodyOf(raw).length, raw.end]
    }
    const [announced, sent, end] = await lengths({ wrongLength: 'tooLong' })
    t.ok(announced > sent && sent > 100)
    t.equal(end, 'end', 'the server hangs up')
    const [less, more] = await lengths({ wrongLength: 'tooShort' })
    t.ok(less > 0 && less < more)
    const [full, cut] = await lengths({ wrongLength: 'tooLong', truncate: true })
    t.ok(full > cut && cut < sent, 'truncated below its announced length')
  }
})

t.test('faults break every kind of reply', async (t) => {
  const sim = await simFor(t)
  sim.script([{ fault: { truncate: { chunks: 1 } } }, { fault: { errorChunk: 'mistral' } }, { fault: { gzip: true } }])
  const named = await rawPost(sim, '/v1/conversations', { inputs: 'a', stream: true })
  t.equal(bodyOf(named).toString().match(/^event: /gm)?.length, 1)
  const embedding = { model: 'mistral-embed', input: 'a' }
  t.match(bodyOf(await rawPost(sim, '/v1/embeddings', embedding)).toString(), /^\{"object":"error"/)
  const models = await fetch(`${sim.url}/v1/models`, { headers: { authorization: 'Bearer sim' } })
  t.match(await models.json(), { object: 'list' })
  t.equal(models.headers.get('content-encoding'), 'gzip')
})
