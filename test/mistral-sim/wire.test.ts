import t from 'tap'
import { startSim, type Cadence } from '../../src/mistral-sim/index.ts'
import { chatBody, eventsIn, FastClock, pipeline, post, rawPost, simFor, SteppedClock } from './support.ts'

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

t.test('a clock that fails breaks off one reply and nothing else', async (t) => {
  const clock = { now: () => 0, wait: async () => { throw new Error('a clock that fails') } }
  const sim = await simFor(t, { clock })
  sim.script([{ cadence: { chunkDelayMs: 1 } }, { fault: { latencyMs: 1 } }])
  t.equal((await rawPost(sim, CHAT, stream('a'))).text.match(/^data: /gm)?.length, 1)
  t.equal((await post(sim, CHAT, chatBody('a'))).status, 500)
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
