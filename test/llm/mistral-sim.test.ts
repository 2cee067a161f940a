import { getEventListeners } from 'node:events'
import t, { type Test } from 'tap'
import { type Cadence, type Fault, type Sim, type SimOptions, startSim } from '../../src/mistral-sim/index.ts'
import { type MistralOptions } from '../../src/llm/mistral/mistral-client.ts'
import { type GenerationRequest, type PromptMessage } from '../../src/llm/provider.ts'
import { type Client, type Generated, apiKey, ask, codeOf, connect, drain } from './mistral-upstream.ts'

/** A strict simulator and a client at it. */
async function meet (
  t: Test, sim: SimOptions = {}, options: Partial<MistralOptions> = {}
): Promise<Client & { sim: Sim }> {
  const running = await startSim({ keys: [apiKey], strict: true, ...sim })
  t.teardown(() => running.close())
  return { ...connect(t, running.url, options), sim: running }
}

async function generate ({ provider }: Client, request: GenerationRequest, stream = true): Promise<Generated> {
  return drain(provider.generate(request, { stream, signal: new AbortController().signal }))
}

/** The forms that answers were asked for in. */
function formatsOf (sim: Sim): Array<{ type: string }> {
  return sim.requests().map(({ json }) => (json as { response_format: { type: string } }).response_format)
}

const question = 'What does the café «Zürich» 咖啡 cost 👩‍🚀?'

t.test('the simulator of the API accepts every request and gives the same reply both ways', async (t) => {
  const client = await meet(t)
  const request: GenerationRequest = {
    ...ask(''),
    messages: [
      { role: 'system', content: 'You answer.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: '' },
      { role: 'assistant', content: 'Hello' },
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: question }
    ],
    model: { temperature: 0, maxTokens: 100 }
  }
  const streamed = await generate(client, request)
  const whole = await generate(client, request, false)
  t.match(whole.texts, [question])
  t.equal(whole.texts.length, 1)
  t.ok(streamed.texts.length > 5)
  t.equal(streamed.texts.join(''), whole.texts.join(''))
  t.strictSame(streamed.end, whole.end)
  t.match(whole.end, { finishReason: 'stop', model: 'mistral-small-latest', usage: { costUsd: Number } })
  t.notOk(whole.end?.usage.estimated)
  const short = await generate(client, { ...request, model: { name: 'mistral-large-latest', maxTokens: 1 } })
  t.match(short.end, { finishReason: 'length', model: 'mistral-large-latest' })
  t.strictSame(client.sim.requests().flatMap(({ schemaErrors }) => schemaErrors), [])
})

t.test('the reply is the same however the stream is cut and written', async (t) => {
  const client = await meet(t)
  const expected = (await generate(client, ask(question))).texts.join('')
  const cadences: Array<Partial<Cadence>> = [
    { packet: 'split:1' }, { packet: 'split:3', eol: 'crlf' }, { packet: 'split:7', spaceAfterColon: false },
    { packet: 'merge:3' }, { packet: 'merge:1000', eol: 'crlf' }, { chunkDelayMs: 3, keepAliveCommentMs: 1 },
    { usageOn: 'extra-chunk' }, { usageOn: 'none' }, { done: false }, { holdOpenAfterDone: true }, { tokensPerChunk: 4 }
  ]
  for (const cadence of cadences) {
    client.sim.script([{ cadence }])
    const { texts, end } = await generate(client, ask(question))
    t.equal(texts.join(''), expected, JSON.stringify(cadence))
    t.equal(end?.finishReason, 'stop')
    t.equal(end?.usage.estimated, cadence.usageOn === 'none' ? true : undefined)
  }
})

t.test('every fault of the simulator ends in its code, never in a reply that is cut short', async (t) => {
  const limits = { firstTokenTimeoutMs: 800, idleTimeoutMs: 800, timeoutMs: 1500 }
  const client = await meet(t, {}, { ...limits, maxConcurrency: 32 })
  const faults: Array<[Fault, string]> = [
    [{ hang: true }, 'upstream_timeout'],
    [{ hangAfter: { chunks: 3 } }, 'upstream_timeout'],
    [{ reset: { at: 'headers' } }, 'upstream_unavailable'],
    [{ reset: { afterChunks: 1 } }, 'upstream_failed'],
    [{ truncate: true }, 'upstream_failed'],
    [{ malformed: 'badJson' }, 'upstream_failed'],
    [{ errorChunk: 'mistral' }, 'upstream_failed'],
    [{ errorChunk: 'openai' }, 'upstream_failed'],
    [{ errorChunk: 'finish_reason' }, 'upstream_failed'],
    [{ emptyContent: true }, 'upstream_failed'],
    [{ status: { code: 429, headers: { 'retry-after': '3' } } }, 'upstream_rate_limited'],
    [{ status: { code: 403, bodyShape: 'guardrail' } }, 'upstream_rejected'],
    [{ status: { code: 503, bodyShape: 'notice' } }, 'upstream_unavailable'],
    [{ status: { code: 520, bodyShape: 'html' } }, 'upstream_failed'],
    [{ status: { code: 504, bodyShape: 'empty' } }, 'upstream_failed']
  ]
  const cases = [true, false].flatMap((stream) => faults.map(([fault, code]) => ({ stream, fault, code })))
  await Promise.all(cases.map(async ({ stream, fault, code }, index) => {
    client.sim.script([{ match: { textIncludes: `fault ${index}.` }, fault }])
    const reply = await generate(client, ask(`fault ${index}. ${question}`), stream)
    t.equal(codeOf(reply), code, `${stream ? 'stream' : 'whole'} ${JSON.stringify(fault)}`)
  }))
  t.equal(client.log.length, cases.length)
  t.notMatch(JSON.stringify(client.log), apiKey)
  t.ok(client.log.some(({ facts }) => typeof facts.correlationId === 'string'), 'trace ids are logged')
})

t.test('a wrong key and an unknown model are refusals', async (t) => {
  const client = await meet(t)
  t.equal(codeOf(await generate(client, ask('Hi', { name: 'no-such-model' }))), 'upstream_rejected')
  t.match(client.log[0]?.facts, { status: 400, upstream: { type: 'invalid_model', code: '1500' } })
  const stranger = connect(t, client.sim.url, { apiKey: 'another-key' })
  t.equal(codeOf(await generate(stranger, ask('Hi'))), 'upstream_rejected')
  t.match(stranger.log[0]?.facts, { status: 401 })
})

t.test('the simulator sees at once that a reader has gone', async (t) => {
  const client = await meet(t, { cadence: { chunkDelayMs: 5 } })
  const controller = new AbortController()
  const reason = new Error('stopped')
  const texts: string[] = []
  await t.rejects(async () => {
    const options = { stream: true, signal: controller.signal }
    for await (const event of client.provider.generate(ask('word '.repeat(500)), options)) {
      if (event.type === 'text') texts.push(event.text)
      if (texts.length === 3) controller.abort(reason)
    }
  }, reason)
  await client.sim.idle()
  const [record] = client.sim.requests()
  t.equal(record?.aborted, true)
  t.ok((record?.chunksSent ?? 500) < 100, `it had sent ${record?.chunksSent} of 500 chunks`)
})

t.test('a call leaves no timer and no listener behind, however it ends', async (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const client = await meet(t)
  const { signal } = new AbortController()
  const before = timers()
  const faults: Fault[] = [{ status: { code: 500 } }, { truncate: true }, { reset: { at: 'headers' } }]
  client.sim.script(faults.map((fault) => ({ fault })))
  for (let i = 0; i < 6; i++) await drain(client.provider.generate(ask('Hi'), { stream: i % 2 === 0, signal }))
  for await (const event of client.provider.generate(ask('Hi'), { stream: true, signal })) {
    if (event.type === 'text') break
  }
  await client.sim.idle()
  await new Promise(setImmediate)
  t.equal(timers(), before)
  t.strictSame(getEventListeners(signal, 'abort'), [])
})

t.test('an answer is asked for by its schema; where that is refused, as JSON, and from then on at once', async (t) => {
  const client = await meet(t, {}, { retry: { attempts: 3, baseMs: 1 } })
  const schema = { type: 'object', required: ['name'], properties: { name: { type: 'string' } } }
  const asked = { ...ask('JSON, please'), format: { name: 'thing', schema } }
  const answer = async (): Promise<string> => (await generate(client, asked, false)).texts.join('')
  const bySchema = { type: 'json_schema', json_schema: { name: 'thing', schema, strict: true } }
  t.equal(await answer(), '{"name":"sim"}')
  client.sim.script([{ match: { textIncludes: 'json_schema' }, times: 'always', fault: { status: { code: 422 } } }])
  t.equal(await answer(), '{"sim":true,"echo":"JSON, please"}')
  t.equal(await answer(), '{"sim":true,"echo":"JSON, please"}')
  t.strictSame(formatsOf(client.sim), [bySchema, bySchema, { type: 'json_object' }, { type: 'json_object' }])
})

t.test('what is refused without a schema as well stays refused, and nothing is learned from it', async (t) => {
  const client = await meet(t, {}, { retry: { attempts: 3, baseMs: 1 } })
  const asked = { ...ask('JSON, please'), format: { name: 'thing', schema: {} } }
  const codeAfter = async (code: number, times: number): Promise<string | undefined> => {
    client.sim.script([{ times, fault: { status: { code } } }])
    return codeOf(await generate(client, asked, false))
  }
  t.equal(await codeAfter(400, 2), 'upstream_rejected')
  t.equal(await codeAfter(401, 1), 'upstream_rejected', 'a schema is not the reason for this one')
  t.equal(codeOf(await generate(client, asked, false)), undefined)
  t.match(formatsOf(client.sim).map(({ type }) => type), ['json_schema', 'json_object', 'json_schema', 'json_schema'])
})

t.test('a provider tells the window of a model, as it is known or was learned', async (t) => {
  const client = await meet(t, { windows: { 'mistral-small-2603': 900 } }, { retry: { attempts: 3, baseMs: 1 } })
  const { provider } = client
  t.same([undefined, 'codestral-latest', 'nobody-knows'].map((name) => provider.windowOf(name)), [256_000, 128_000, 32_000])
  const long: PromptMessage[] = ['one', 'two'].map((content) => ({ role: 'user', content: content.repeat(700) }))
  await generate(client, { ...ask(''), messages: long }, false)
  t.equal(provider.windowOf(undefined), 900)
})
