import t, { type Test } from 'tap'
import { type SimOptions, startSim } from '../../src/mistral-sim/index.ts'
import { type ApiError } from '../../src/errors.ts'
import { type MistralOptions, type MistralProvider } from '../../src/llm/mistral/mistral-client.ts'
import {
  type Exchange, type LogLine, apiKey, bodyOf, connect as connectOnce, startSockets, startUpstream
} from './mistral-upstream.ts'

const { signal } = new AbortController()
const acme = { tenantId: 'acme', signal }

interface Asked { model: string, input: string[] }

type Client = MistralProvider & { log: LogLine[] }

/** A client that tries again at once; it goes with the test. */
function connect (t: Test, baseUrl: string, options: Partial<MistralOptions> = {}): Client {
  const { provider, log } = connectOnce(t, baseUrl, { retry: { baseMs: 0 }, breaker: {}, ...options })
  return { ...provider, log }
}

async function meet (t: Test, options: SimOptions = {}) {
  const sim = await startSim({ keys: [apiKey], strict: true, ...options })
  t.teardown(async () => await sim.close())
  return { sim, client: connect(t, sim.url), asked: () => sim.requests().map(({ json }) => json as Asked) }
}

/** The code of the error that a promise rejects with. */
async function codeOf (promise: Promise<unknown>): Promise<string | undefined> {
  return await promise.then(() => undefined, (error: ApiError) => error.code)
}

const digest = (vector: Float32Array | undefined) => vector?.join(' ')
const asked = ({ body }: Exchange) => (JSON.parse(body) as Asked).input
/** A vector that tells its text: how long it is, and what it begins with. */
const telling = (text: string) => [text.length, text.charCodeAt(0)]

/** Answers as other servers do, with numbers that are written out. */
function answerFloats ({ response, body }: Exchange): void {
  const { input } = JSON.parse(body) as Asked
  const data = input.map((text, index) => ({ object: 'embedding', index, embedding: telling(text) }))
  bodyOf({ object: 'list', data })({ response } as Exchange)
}

t.test('every text gets its vector', async (t) => {
  const { client, asked } = await meet(t)
  const texts = ['one', 'two', 'three', 'one']
  const vectors = await client.embed(texts, acme)
  t.strictSame(vectors.map(({ length }) => length), [1024, 1024, 1024, 1024])
  t.ok(vectors.every((vector) => vector instanceof Float32Array && Math.abs(Math.hypot(...vector) - 1) < 1e-3))
  t.equal(digest(vectors[0]), digest(vectors[3]), 'equal texts have equal vectors')
  t.not(digest(vectors[0]), digest(vectors[1]))
  t.equal(digest((await client.embed(['two'], acme))[0]), digest(vectors[1]))
  t.strictSame(asked()[0], { model: 'mistral-embed', input: texts, encoding_format: 'base64' })
  t.strictSame(await client.embed([], acme), [], 'nothing is asked for nothing')
  t.equal(asked().length, 2)
})

t.test('requests of the same moment are one call, for one tenant and model', async (t) => {
  const { client, asked } = await meet(t)
  const [first, second, [wide], third] = await Promise.all([
    client.embed(['a', 'b'], acme),
    client.embed(['c'], acme),
    client.embed(['a'], { ...acme, model: 'codestral-embed' }),
    client.embed(['a', 'c', 'b'], acme),
    client.embed(['a'], { ...acme, tenantId: 'other' })
  ])
  t.strictSame(third.map(digest), [first[0], second[0], first[1]].map(digest), 'each has its own, in its own order')
  t.equal(wide?.length, 1536)
  t.strictSame(asked().map(({ model, input }) => [model, ...input].join(' ')).sort(),
    ['codestral-embed a', 'mistral-embed a', 'mistral-embed a b c a c b'])
})

t.test('a call stays within the limits of the API', async (t) => {
  // As dear as the old tokenizer can get: a token for each digit, mark and byte beyond ASCII.
  const tokenizer = (text: string) => {
    const dear = text.replace(/[A-Za-z ]/g, '')
    return Math.ceil((text.length - dear.length) / 4) + Buffer.byteLength(dear)
  }
  const { client, asked } = await meet(t, { tokenizer })
  const texts = Array.from({ length: 530 }, (_, index) => `text ${index}`)
  const vectors = await client.embed(texts, acme)
  t.strictSame(asked().map(({ input }) => input.length).sort(), [18, 512])
  const some = await client.embed(texts.slice(510, 514), acme)
  t.strictSame(some.map(digest), vectors.slice(510, 514).map(digest), 'the order is that of the texts')
  for (const text of ['only letters '.repeat(154), '文字'.repeat(83), '0123456789'.repeat(50), 'Ж?'.repeat(166)]) {
    const before = asked().length
    t.equal((await client.embed(Array<string>(40).fill(text), acme)).length, 40, text.slice(0, 10))
    t.ok(asked().length > before + 1, 'in several calls')
  }
  const tooLarge = client.embed(['文'.repeat(20_000)], acme)
  t.equal(await codeOf(tooLarge), 'upstream_rejected', 'one text too large is refused')
})

t.test('a text that is refused fails its owner alone', async (t) => {
  const upstream = await startUpstream(t, (exchange) => {
    if (asked(exchange).some((text) => text.startsWith('bad'))) bodyOf({ message: 'No.' }, 400)(exchange)
    else answerFloats(exchange)
  })
  const client = connect(t, upstream.url)
  const [good, bad, other, worse] = await Promise.allSettled([
    client.embed(['a', 'bb'], acme), client.embed(['good', 'bad'], acme),
    client.embed(['ccc'], acme), client.embed(['bad too'], acme)
  ])
  t.match(good, { value: ['a', 'bb'].map((text) => Float32Array.from(telling(text))) })
  t.match(other, { value: [Float32Array.from(telling('ccc'))] })
  t.match([bad, worse], [{ reason: { code: 'upstream_rejected' } }, { reason: { code: 'upstream_rejected' } }])
  t.equal(upstream.exchanges.length, 5, 'one call for all, then one for each')
  t.match(client.log[0]?.facts, { status: 400, code: 'upstream_rejected' })
  t.notMatch(JSON.stringify(client.log), 'No.')
})

t.test('a failure that may pass is tried again, and then tells all callers', async (t) => {
  const { client, sim, asked } = await meet(t)
  sim.script([{ times: 2, fault: { status: { code: 500 } } }])
  t.equal((await client.embed(['a'], acme)).length, 1)
  t.equal(asked().length, 3)
  sim.script([{ times: 3, fault: { reset: { at: 'headers' } } }])
  const codes = await Promise.all([client.embed(['a'], acme), client.embed(['b'], acme)].map(codeOf))
  t.strictSame(codes, ['upstream_unavailable', 'upstream_unavailable'])
  t.equal(asked().length, 6, 'three attempts for both')
  t.equal(await codeOf(connect(t, sim.url, { apiKey: 'wrong' }).embed(['a'], acme)), 'upstream_rejected')
  t.equal(asked().length, 7, 'a refusal is final')
  t.notMatch(JSON.stringify(client.log), apiKey)
})

t.test('who leaves does not disturb the others', async (t) => {
  const answered = Promise.withResolvers<unknown>()
  const arrived = Promise.withResolvers<Exchange>()
  const upstream = await startUpstream(t, async (exchange) => {
    arrived.resolve(exchange)
    await answered.promise
    answerFloats(exchange)
  })
  const client = connect(t, upstream.url)
  const leaver = new AbortController()
  const reason = new Error('left')
  const [early, left, stays] = [new AbortController(), leaver, new AbortController()]
    .map(({ signal }) => ({ tenantId: 'acme', signal }))
  const aborted = new AbortController()
  aborted.abort(reason)
  await t.rejects(client.embed(['x'], { ...acme, signal: aborted.signal }), reason)
  const first = client.embed(['early'], early!)
  const second = client.embed(['leaves'], left!)
  const third = client.embed(['stays'], stays!)
  await arrived.promise
  leaver.abort(reason)
  await t.rejects(second, reason, 'it is told at once')
  answered.resolve(undefined)
  const vectors = (await Promise.all([first, third])).flat()
  t.strictSame(vectors, ['early', 'stays'].map((text) => Float32Array.from(telling(text))))
  t.equal(upstream.exchanges.length, 1)
})

t.test('a call that nobody waits for is closed, or never made', async (t) => {
  const arrived = Promise.withResolvers<Exchange>()
  const upstream = await startUpstream(t, (exchange) => {
    if (asked(exchange).includes('answer')) answerFloats(exchange)
    else arrived.resolve(exchange)
  })
  const client = connect(t, upstream.url)
  const [one, two] = [new AbortController(), new AbortController()]
  const embed = ({ signal }: AbortController) => client.embed(['text'], { tenantId: 'acme', signal })
  const calls = [one, two].map(embed)
  const { disconnected } = await arrived.promise
  one.abort(new Error('one'))
  two.abort(new Error('two'))
  await Promise.all([t.rejects(calls[0]!, { message: 'one' }), t.rejects(calls[1]!, { message: 'two' }), disconnected])
  const three = new AbortController()
  const late = embed(three)
  three.abort(new Error('three'))
  await t.rejects(late, { message: 'three' })
  await client.embed(['answer'], acme)
  t.strictSame(upstream.exchanges.map(asked), [['text', 'text'], ['answer']])
  t.strictSame(client.log, [], 'and it is no failure')
})

t.test('who leaves while others hold all connections makes no call', async (t) => {
  const upstream = await startUpstream(t, bodyOf({}, 400))
  const leaver = new AbortController()
  const logger = { warn: () => leaver.abort(new Error('left')) }
  const client = connect(t, upstream.url, { maxConcurrency: 1, logger })
  const refused = client.embed(['first'], acme)
  const next = client.embed(['second'], { tenantId: 'other', signal: leaver.signal })
  t.equal(await codeOf(refused), 'upstream_rejected')
  await t.rejects(next, { message: 'left' })
  t.equal(upstream.exchanges.length, 1)
  t.equal(await codeOf(client.embed(['third'], acme)), 'upstream_rejected', 'and holds no connection')
})

t.test('vectors are taken as they come, and refused when they are not what was asked for', async (t) => {
  let answer: unknown
  const upstream = await startUpstream(t, (exchange) => bodyOf(answer)(exchange))
  const client = connect(t, upstream.url, { retry: { attempts: 1 }, breaker: { failures: Infinity } })
  const packed = Buffer.alloc(8)
  packed.writeFloatLE(0.5, 0)
  packed.writeFloatLE(-2, 4)
  const entry = (index: unknown, embedding: unknown) => ({ index, embedding })
  const good: Record<string, unknown[]> = {
    'written out': [entry(0, [1, 2]), entry(1, [0.5, -2])],
    packed: [entry(0, [1, 2]), entry(1, packed.toString('base64'))],
    'in another order': [entry(1, [0.5, -2]), entry(0, [1, 2])],
    'without an index': [{ embedding: [1, 2] }, { embedding: [0.5, -2] }]
  }
  for (const [name, data] of Object.entries(good)) {
    answer = { data }
    t.strictSame(await client.embed(['a', 'b'], acme), [Float32Array.of(1, 2), Float32Array.of(0.5, -2)], name)
  }
  const bad: Record<string, unknown> = {
    'no JSON': '<html>',
    'a list': [],
    'no data': { object: 'list' },
    'too few': { data: [entry(0, [1])] },
    'too many': { data: [entry(0, [1]), entry(1, [1]), entry(2, [1])] },
    'one twice': { data: [entry(0, [1]), entry(0, [1])] },
    'strange indexes': { data: [entry('0', [1]), entry('1', [1])] },
    'different sizes': { data: [entry(0, [1]), entry(1, [1, 2])] },
    'no numbers': { data: [entry(0, []), entry(1, [])] },
    'not only numbers': { data: [entry(0, [1]), entry(1, [null])] },
    'numbers too large': { data: [entry(0, [1]), entry(1, [1e300])] },
    'bytes that do not come out even': { data: [entry(0, 'AAAA'), entry(1, 'AAAA')] },
    'no entries': { data: ['a', null] },
    'an error': { error: 'no such route' }
  }
  for (const [name, body] of Object.entries(bad)) {
    answer = body
    t.equal(await codeOf(client.embed(['a', 'b'], acme)), 'upstream_failed', name)
  }
  answer = { error: { code: 429, message: 'Slow down' } }
  t.equal(await codeOf(client.embed(['a', 'b'], acme)), 'upstream_rate_limited', 'an error that names its status')
})

t.test('a call that goes wrong ends with the code for it', async (t) => {
  const code = async (answer: (exchange: Exchange) => void, options: Partial<MistralOptions> = {}) => {
    const upstream = await startUpstream(t, answer)
    return await codeOf(connect(t, upstream.url, { retry: { attempts: 1 }, ...options }).embed(['a'], acme))
  }
  const half = ({ response }: Exchange) => { response.write('{"data":') }
  t.equal(await code(() => {}, { firstTokenTimeoutMs: 20 }), 'upstream_timeout', 'no head')
  t.equal(await code(half, { idleTimeoutMs: 20 }), 'upstream_timeout', 'silence')
  t.equal(await code(() => {}, { timeoutMs: 20 }), 'upstream_timeout', 'all attempts')
  t.equal(await code(half, { timeoutMs: 20 }), 'upstream_timeout')
  t.equal(await code(({ response }) => {
    response.write('{', () => response.destroy())
  }), 'upstream_failed', 'an answer that breaks off')
  const mega = Buffer.alloc(1024 * 1024, ' ')
  t.equal(await code(({ response }) => {
    for (let i = 0; i < 33; i++) response.write(mega)
  }), 'upstream_failed', 'an answer without an end')
  t.equal(await code(({ response }) => {
    response.writeHead(422)
    response.write(mega)
  }), 'upstream_rejected', 'a refusal without an end')
  t.equal(await code(({ response }) => {
    response.writeHead(422, { 'content-length': 100 })
    response.write('{', () => response.destroy())
  }), 'upstream_rejected', 'a refusal that breaks off')
  const sockets = await startSockets(t, (socket) => socket.destroy())
  const client = connect(t, `http://${sockets}`)
  t.equal(await codeOf(client.embed(['a'], acme)), 'upstream_unavailable')
  const before = client.log.length
  t.equal(before, 3, 'three attempts')
  await client.close()
  t.equal(await codeOf(client.embed(['a'], acme)), 'upstream_unavailable', 'a client that is closed')
  t.equal(client.log.length, before + 1, 'is not tried again')
})

t.test('every text gets its verdict', async (t) => {
  const { client, asked } = await meet(t)
  const [[harmless, violent], [private_]] = await Promise.all([
    client.moderate(['Good morning.', 'violence_and_threats'], acme), client.moderate(['pii'], acme)
  ])
  t.equal(Object.values(harmless!.flagged).some(Boolean), false)
  t.match(violent, { flagged: { violence_and_threats: true, pii: false }, scores: { violence_and_threats: 0.99 } })
  t.match(private_, { flagged: { pii: true } })
  const input = ['Good morning.', 'violence_and_threats', 'pii']
  t.strictSame(asked(), [{ model: 'mistral-moderation-latest', input }])
})

t.test('verdicts that are not what was asked for are refused', async (t) => {
  let answer: unknown
  const upstream = await startUpstream(t, (exchange) => bodyOf(answer)(exchange))
  const client = connect(t, upstream.url, { retry: { attempts: 1 }, breaker: { failures: Infinity } })
  const verdict = { categories: { pii: true }, category_scores: { pii: 1 } }
  answer = { results: [verdict] }
  const verdicts = await client.moderate(['a'], { ...acme, model: 'own' })
  t.strictSame(verdicts, [{ flagged: { pii: true }, scores: { pii: 1 } }])
  for (const results of [undefined, [], [verdict, verdict], ['a'], [{ ...verdict, categories: { pii: 1 } }],
    [{ ...verdict, category_scores: { pii: 'high' } }], [{ categories: {} }]]) {
    answer = { results }
    t.equal(await codeOf(client.moderate(['a'], acme)), 'upstream_failed', JSON.stringify(results))
  }
})
