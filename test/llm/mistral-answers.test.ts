import t, { type Test } from 'tap'
import { costUsd } from '../../src/llm/prices.ts'
import { type PromptMessage } from '../../src/llm/provider.ts'
import { StreamReader } from '../../src/llm/mistral/answer/stream-reader.ts'
import {
  type Exchange, type Generated, apiKey, ask, bodyOf, chunk, codeOf, completion, connect, done, drain, event,
  startUpstream, streamOf, talk
} from './mistral-upstream.ts'

const signal = new AbortController().signal

async function replyTo (t: Test, answer: (exchange: Exchange) => unknown, stream = true) {
  const upstream = await startUpstream(t, answer)
  const { provider, log } = connect(t, upstream.url)
  return { ...await talk(provider, { stream }), log, upstream }
}

t.test('the request holds what was asked and nothing else', async (t) => {
  const upstream = await startUpstream(t, bodyOf(completion('Hello')))
  const { provider } = connect(t, upstream.url + '/', { maxConcurrency: 1 })
  await drain(provider.generate(ask('Hi'), { stream: false, signal }))
  await drain(provider.generate(ask('Hi', { name: 'own', temperature: 0, maxTokens: 7 }), { stream: false, signal }))
  const [plain, full] = upstream.exchanges
  t.equal(plain?.request.method, 'POST')
  t.equal(plain?.request.url, '/v1/chat/completions')
  t.equal(plain?.request.headers.authorization, `Bearer ${apiKey}`)
  t.equal(plain?.request.headers['content-type'], 'application/json')
  t.equal(plain?.request.headers.accept, 'application/json')
  // SHA-256 of the session's id.
  const common = { messages: [{ role: 'user', content: 'Hi' }], prompt_cache_key: 'Pzrx7Ou9FBCrQX7A0nu_y100Dhd64Vm1n8hibC39kXU' }
  t.strictSame(JSON.parse(plain?.body ?? ''), { ...common, model: 'mistral-small-latest', stream: false })
  t.strictSame(JSON.parse(full?.body ?? ''), { ...common, model: 'own', temperature: 0, max_tokens: 7, stream: false })
  t.equal(upstream.accepted(), 1, 'the second call takes the connection of the first')
})

t.test('a base URL may carry a path, its slash and the version', async (t) => {
  const upstream = await startUpstream(t, bodyOf(completion('Hello')))
  for (const path of ['/proxy/mistral', '/proxy/mistral/', '/proxy/mistral/v1', '/proxy/mistral/v1/']) {
    await talk(connect(t, upstream.url + path).provider, { stream: false })
  }
  const paths = upstream.exchanges.map(({ request }) => request.url)
  t.strictSame(paths, Array(4).fill('/proxy/mistral/v1/chat/completions'))
})

t.test('messages are brought into the order that the API accepts', async (t) => {
  const upstream = await startUpstream(t, bodyOf(completion('Hello')))
  const { provider } = connect(t, upstream.url)
  const sent = async (messages: PromptMessage[]): Promise<unknown> => {
    const { error } = await drain(provider.generate({ ...ask(''), messages }, { stream: false, signal }))
    return error ?? (JSON.parse(upstream.exchanges.at(-1)?.body ?? '') as { messages: unknown }).messages
  }
  t.strictSame(await sent([
    { role: 'system', content: 'One.' },
    { role: 'user', content: 'a' },
    { role: 'assistant', content: ' \n' },
    { role: 'user', content: 'b' },
    { role: 'assistant', content: 'c' },
    { role: 'system', content: 'Two.' },
    { role: 'system', content: '' },
    { role: 'user', content: 'd' }
  ]), [
    { role: 'system', content: 'One.\n\nTwo.' },
    { role: 'user', content: 'a' },
    { role: 'user', content: 'b' },
    { role: 'assistant', content: 'c' },
    { role: 'user', content: 'd' }
  ])
  const before = upstream.exchanges.length
  const answered: PromptMessage[] = [{ role: 'user', content: 'a' }, { role: 'assistant', content: 'b' }]
  t.match(await sent(answered), { code: 'upstream_rejected' })
  t.match(await sent([]), { code: 'upstream_rejected' })
  t.equal(upstream.exchanges.length, before, 'what would be refused is not sent')
})

t.test('an answer in one piece gives its text, its model, its usage and its cost', async (t) => {
  const { texts, end } = await replyTo(t, bodyOf(completion('Grüße 👋', 'length', {
    model: 'mistral-small-2603',
    usage: {
      prompt_tokens: 1000,
      completion_tokens: 200,
      total_tokens: 1200,
      prompt_tokens_details: { cached_tokens: 640 }
    }
  })), false)
  t.strictSame(texts, ['Grüße 👋'])
  t.strictSame(end, {
    type: 'end',
    finishReason: 'length',
    model: 'mistral-small-2603',
    // (360 + 64) * 0.15 + 200 * 0.6, per million
    usage: { promptTokens: 1000, completionTokens: 200, totalTokens: 1200, cachedTokens: 640, costUsd: 0.0001836 }
  })
})

t.test('an answer in one piece is read whatever form its content and its usage have', async (t) => {
  const usage = { prompt_tokens: 5, completion_tokens: 2, num_cached_tokens: 9 }
  const counted = { promptTokens: 5, completionTokens: 2, totalTokens: 7, cachedTokens: 5 }
  const parts = [
    { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }, { type: 'text', text: 'He' }, { type: 'new' }, null,
    { type: 'text' }, { type: 'text', text: 'llo' }
  ]
  const list = await replyTo(t, bodyOf(completion(parts, '', { usage, model: 'unheard-of' })), false)
  t.strictSame(list.texts, ['Hello'])
  const ending = { type: 'end', finishReason: 'stop', model: 'unheard-of', usage: counted }
  t.strictSame(list.end, ending, 'no price, no cost')
  const bare = await replyTo(t, bodyOf({ choices: [{ message: { content: 'Hello' } }] }), false)
  t.strictSame(bare.end, {
    type: 'end',
    finishReason: 'stop',
    model: 'mistral-small-latest',
    usage: { promptTokens: 5, completionTokens: 2, totalTokens: 7, estimated: true, costUsd: 0.00000195 }
  })
  const odds = [
    null, 'many', { prompt_tokens: '5', completion_tokens: 2 }, { prompt_tokens: 5, completion_tokens: -1 }
  ]
  for (const odd of odds) {
    const { end } = await replyTo(t, bodyOf(completion('Hello', 'stop', { usage: odd })), false)
    t.equal(end?.usage.estimated, true)
  }
})

t.test('the price table knows free models and knows what it does not know', async (t) => {
  const usage = { promptTokens: 1_000_000, completionTokens: 1_000_000, totalTokens: 2_000_000 }
  t.equal(costUsd('labs-leanstral-1-5', usage), 0)
  t.equal(costUsd('mistral-large-latest', usage), 2)
  t.equal(costUsd('mistral-unheard-of', usage), undefined)
  t.equal(costUsd('constructor', usage), undefined)
})

const usage = { prompt_tokens: 13, total_tokens: 21, completion_tokens: 8 }
const recorded = [
  event(chunk('', null)), event(chunk('Grüß')), event(chunk(' dich, 世界')), event(chunk(' 👩‍🚀')),
  event(chunk('', 'stop', { usage })), done
]

t.test('a stream is given as it comes', async (t) => {
  const { texts, end, upstream } = await replyTo(t, streamOf(...recorded))
  t.strictSame(texts, ['Grüß', ' dich, 世界', ' 👩‍🚀'])
  t.strictSame(end, {
    type: 'end',
    finishReason: 'stop',
    model: 'mistral-small-latest',
    usage: { promptTokens: 13, completionTokens: 8, totalTokens: 21, costUsd: 0.00000675 }
  })
  t.equal(upstream.exchanges[0]?.request.headers.accept, 'text/event-stream')
  t.equal((JSON.parse(upstream.exchanges[0]?.body ?? '') as { stream: unknown }).stream, true)
})

t.test('every split of a stream into two packets gives the same texts, with either line end', async (t) => {
  const read = (...packets: Buffer[]): string => {
    const told: string[] = []
    const reader = new StreamReader({
      text: (text) => { told.push(text) },
      alive: () => {},
      ignored: () => {},
      complete: (completion) => { told.push(JSON.stringify(completion)) },
      fail: (error) => { told.push(error.message) }
    })
    for (const packet of packets) reader.bytes(packet)
    reader.ended()
    return told.join('|')
  }
  for (const eol of ['\n', '\r\n', '\r']) {
    const bytes = Buffer.from(`: hello${eol}${eol}` + recorded.join('').replaceAll('\n', eol))
    const whole = read(bytes)
    t.match(whole, /^Grüß\| dich, 世界\| 👩‍🚀\|\{"finishReason":"stop"/)
    let same = 0
    for (let at = 0; at <= bytes.length; at++) {
      if (read(bytes.subarray(0, at), bytes.subarray(at)) === whole) same++
    }
    t.equal(same, bytes.length + 1)
    t.equal(read(...Array.from(bytes, (byte) => Buffer.of(byte))), whole, 'a byte at a time')
  }
})

const heard = ({ texts, end }: Generated) => [texts.join(''), end?.finishReason]
const finish = event(chunk('', 'stop'))

t.test('a stream is read in all the forms that servers send', async (t) => {
  const forms: Record<string, string[]> = {
    'comments, other fields and no space after the colon': [
      ': processing\n\n', `id: 1\nretry: 10\nretry: soon\nodd\nevent: x\ndata:${JSON.stringify(chunk('He'))}\n\n`,
      'data:\n\n',
      event(chunk('llo', 'stop')), done
    ],
    'everything in one packet': [[event(chunk('He')), event(chunk('llo')), finish, done].join('')],
    'one event over several packets': [
      'data: {"choices":[{"de', 'lta":{"content":"Hello"}}', ']}\n', '\n', finish, done
    ],
    'an event whose data has several lines': [
      'data: {"choices":[{"delta":\ndata: {"content":"Hello"}}]}\n\n', finish, done
    ],
    'thinking before the text': [
      event(chunk([{ type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }])),
      event(chunk([{ type: 'thinking', thinking: [] }, { type: 'text', text: 'He' }])),
      event(chunk('llo')), finish, done
    ],
    'content of null, of a strange type and none at all': [
      event(chunk(null)), event(chunk(7)), event({ choices: [{ index: 0 }] }), event({ choices: [null] }),
      event(chunk('Hello')),
      event({ choices: [{ index: 0, delta: null, finish_reason: 'stop' }] }), done
    ],
    'usage after the finish reason, with no choices': [
      event(chunk('Hello', 'stop')), event({ choices: [], usage }), event({ choices: [], usage: null }), done
    ],
    'an empty finish reason on every chunk': [event(chunk('He', '')), event(chunk('llo', '')), finish, done],
    'a second finish reason': [event(chunk('Hello', 'stop')), event(chunk('', 'length')), done],
    'no finish reason, but the closing mark': [event(chunk('Hello')), done],
    'no closing mark, but a finish reason': [event(chunk('Hello', 'stop'))],
    'no closing mark, and a remnant after the finish reason': [event(chunk('Hello', 'stop')), 'data: {"choi'],
    'a closing mark without its blank line': [event(chunk('Hello')), 'data: [DONE]'],
    'a byte order mark': ['\ufeff' + event(chunk('Hello', 'stop')), done],
    'more after the closing mark': [event(chunk('Hello', 'stop')) + done + event(chunk('!')) + 'data: {nonsense\n\n']
  }
  for (const [form, writes] of Object.entries(forms)) {
    t.strictSame(heard(await replyTo(t, streamOf(...writes))), ['Hello', 'stop'], form)
  }
  const odd = await replyTo(t, streamOf(event(chunk('Hello', 'went_for_lunch')), done))
  t.strictSame(heard(odd), ['Hello', 'went_for_lunch'], 'a finish reason nobody has heard of')
})

t.test('usage counts wherever it comes, and is estimated where it does not', async (t) => {
  const early = await replyTo(t, streamOf(event(chunk('Hello', null, { usage })), finish, done))
  t.equal(early.end?.usage.totalTokens, 21)
  const late = await replyTo(t, streamOf(event(chunk('Hello', 'stop')), event({ choices: [], usage }), done))
  t.equal(late.end?.usage.totalTokens, 21)
  const none = await replyTo(t, streamOf(event(chunk('Hello', 'stop', { usage: null })), done))
  t.match(none.end?.usage, { promptTokens: 5, completionTokens: 2, totalTokens: 7, estimated: true })
})

t.test('a stream that fails gives the text before the failure, then the failure', async (t) => {
  const hello = event(chunk('Hello'))
  const forms: Record<string, string[]> = {
    'the end without a finish reason': [hello],
    'the end within a chunk': [hello, 'data: {"choices":[{"delta":{"content":"wor'],
    'an error as Mistral writes it': [hello, event({ object: 'error', message: 'PRIVATE', code: '1300' }), done],
    'an error as OpenAI writes it': [hello, event({ error: { message: 'PRIVATE', code: 500 }, choices: [] }), done],
    'an error that is a sentence': [hello, event({ error: 'PRIVATE' })],
    'an error as the reason to finish': [hello, event(chunk('PRIVATE', 'error')), done],
    'an error after the finish reason': [event(chunk('Hello', 'stop')), event({ error: 'PRIVATE' }), done],
    'a named error event': [hello, 'event: error\ndata: PRIVATE\n\n', done],
    'no JSON': [hello, event('PRIVATE{')],
    'JSON that is no object': [hello, event('null')],
    'a list': [hello, event('[1]')],
    'no choices': [hello, event({ id: 1 })],
    'choices that are no list': [hello, event({ choices: 'PRIVATE' })],
    'a line without an end': [hello, 'data: ' + 'PRIVATE'.repeat(200_000)],
    'an event without an end': [hello, ...Array<string>(20).fill(`data: ${'PRIVATE'.repeat(10_000)}\n`)],
    'a stream without an end': [hello, ...Array<string>(40).fill(`: ${'PRIVATE'.repeat(150_000)}\n\n`)]
  }
  for (const [form, writes] of Object.entries(forms)) {
    const reply = await replyTo(t, streamOf(...writes))
    t.equal(codeOf(reply), 'upstream_failed', form)
    t.equal(reply.texts.join(''), 'Hello', form)
    t.equal(/too large/.test(String(reply.error)), form.includes('without an end'), form)
    t.notMatch(String(reply.error), 'PRIVATE', form)
    t.equal(reply.log.length, 1, form)
  }
})

t.test('an answer without text is a failure', async (t) => {
  const empty = [
    [done], [event(chunk('', 'stop')), done], [event(chunk(null, 'stop'))], [event({ choices: [] }), done],
    [event(chunk([{ type: 'thinking', thinking: [] }], 'length')), done]
  ]
  for (const writes of empty) t.equal(codeOf(await replyTo(t, streamOf(...writes))), 'upstream_failed')
  for (const content of ['', null, [], [{ type: 'thinking' }]]) {
    t.equal(codeOf(await replyTo(t, bodyOf(completion(content)), false)), 'upstream_failed')
  }
})

t.test('an answer in one piece that is none is a failure', async (t) => {
  const bodies = [
    '', '<html>PRIVATE</html>', '{"choices":', 'null', '[]',
    { error: 'PRIVATE' }, { error: { message: 'PRIVATE' }, choices: [] },
    { object: 'error', message: 'PRIVATE' }, { choices: [] }, { choices: [{}] }, completion('PRIVATE', 'error'),
    `{"choices":"${'PRIVATE'.repeat(1_300_000)}"}`
  ].map((body) => typeof body === 'string' ? body : JSON.stringify(body))
  for (const body of bodies) {
    const reply = await replyTo(t, bodyOf(body), false)
    t.equal(codeOf(reply), 'upstream_failed')
    t.strictSame(reply.texts, [])
    t.notMatch(String(reply.error), 'PRIVATE')
    t.equal(/too large/.test(String(reply.error)), body.length > 1e6)
    t.equal(reply.log.length, 1)
  }
})

t.test('a stream of another type is a failure', async (t) => {
  const types = [{ 'content-type': 'text/html' }, { 'content-type': 'application/json' }, {}]
  for (const headers of types) {
    const { log, ...reply } = await replyTo(t, ({ response }) => {
      response.writeHead(200, headers)
      response.end(event(chunk('PRIVATE', 'stop')) + done)
    })
    t.equal(codeOf(reply), 'upstream_failed')
    t.strictSame(reply.texts, [])
    t.match(log[0]?.facts, { status: 200 })
    t.notMatch(JSON.stringify(log), 'PRIVATE')
  }
  const upper = await replyTo(t, ({ response }) => {
    response.writeHead(200, { 'content-type': 'Text/Event-Stream' })
    response.end(event(chunk('Hello', 'stop')) + done)
  })
  t.strictSame(heard(upper), ['Hello', 'stop'])
})
