import t, { type Test } from 'tap'
import { type Fault, startSim } from '../../src/mistral-sim/index.ts'
import { withFallback } from '../../src/llm/fallback-provider.ts'
import { createOfflineProvider } from '../../src/llm/offline/offline-provider.ts'
import { type ChatProvider, type GenerationRequest } from '../../src/llm/provider.ts'
import { type MistralOptions } from '../../src/llm/mistral/mistral-client.ts'
import { allOf } from '../helper.ts'
import { startAppWithSim } from '../sim.ts'
import { apiKey, ask, codeOf, connect, drain } from './mistral-upstream.ts'

interface Exchange {
  userMessage: { id: string }
  botMessage: { id: string }
}

const { signal } = new AbortController()
const instructions = 'The shop opens at nine. Parcels leave the warehouse within two days.'
const request: GenerationRequest = { ...ask('When do parcels leave?'), fallback: 'offline', instructions }

/** The model, with the offline provider behind it, at a simulator that fails as it is told to. */
async function meet (t: Test, fault: Fault, options: Partial<MistralOptions> = {}): Promise<ChatProvider> {
  const sim = await startSim({ keys: [apiKey], strict: true })
  t.teardown(async () => await sim.close())
  sim.script([{ times: 100, fault }])
  const { provider } = connect(t, sim.url, { retry: { baseMs: 1 }, ...options })
  return withFallback(provider, createOfflineProvider())
}

t.test('a model that is away is stood in for', async (t) => {
  const faults: Fault[] = [
    { status: { code: 500 } }, { status: { code: 503, bodyShape: 'notice' } }, { status: { code: 429 } },
    { reset: { at: 'headers' } }, { emptyContent: true }, { hang: true }
  ]
  for (const fault of faults) {
    const provider = await meet(t, fault, { timeoutMs: 200 })
    for (const stream of [true, false]) {
      const { texts, end, error } = await drain(provider.generate(request, { stream, signal }))
      t.equal(error, undefined, JSON.stringify(fault))
      t.equal(texts.join(''), 'Parcels leave the warehouse within two days.')
      t.match(end, { model: 'offline-extractive', fallback: true, usage: { estimated: true } })
    }
  }
})

t.test('a model whose breaker is open is stood in for without a call', async (t) => {
  const { provider, log } = connect(t, 'http://127.0.0.1:9', { retry: { baseMs: 0 }, breaker: { failures: 10 } })
  const standing = withFallback(provider, createOfflineProvider())
  for (let turn = 0; turn < 20; turn++) {
    t.match((await drain(standing.generate(request, { stream: true, signal }))).end, { fallback: true })
  }
  t.ok(log.length < 20, `${log.length} calls were made`)
})

t.test('whoever does not want it gets the error', async (t) => {
  const provider = await meet(t, { status: { code: 500 } })
  for (const fallback of ['none', undefined] as const) {
    const { fallback: _, ...plain } = request
    const asked = { ...plain, ...(fallback && { fallback }) }
    t.equal(codeOf(await drain(provider.generate(asked, { stream: true, signal }))), 'upstream_failed')
  }
})

t.test('a request that is refused stays refused', async (t) => {
  const provider = await meet(t, { status: { code: 400 } })
  t.equal(codeOf(await drain(provider.generate(request, { stream: true, signal }))), 'upstream_rejected')
  const unordered: GenerationRequest = { ...request, messages: [] }
  t.equal(codeOf(await drain(provider.generate(unordered, { stream: true, signal }))), 'upstream_rejected')
})

t.test('a reply that has begun is never handed over', async (t) => {
  const provider = await meet(t, { reset: { afterChunks: 3 } })
  const { texts, end, error } = await drain(provider.generate(request, { stream: true, signal }))
  t.match(error, { code: 'upstream_failed' })
  t.equal(end, undefined)
  t.match(texts.join(''), /^sim:/)
  t.notMatch(texts.join(''), 'Parcels leave the warehouse within')
})

t.test('a queue that is full is not a model that is away', async (t) => {
  const provider = await meet(t, { hang: true }, { maxConcurrency: 1 })
  const controller = new AbortController()
  const options = { stream: true, signal: controller.signal }
  const calls = Array.from({ length: 1026 }, () => drain(provider.generate(request, options)))
  t.equal(codeOf(await Promise.race(calls)), 'overloaded')
  controller.abort(new Error('enough'))
  const ends = await Promise.all(calls)
  t.equal(ends.filter(({ error }) => error === controller.signal.reason).length, 1025)
})

t.test('what is aborted is not answered', async (t) => {
  const provider = await meet(t, { hang: true })
  const reason = new Error('stopped')
  const controller = new AbortController()
  const running = drain(provider.generate(request, { stream: true, signal: controller.signal }))
  setImmediate(() => controller.abort(reason))
  t.strictSame(await running, { texts: [], error: reason })
  const late = drain(provider.generate(request, { stream: true, signal: controller.signal }))
  t.strictSame(await late, { texts: [], error: reason })
})

t.test('the environment says which dialect the model is asked in', async (t) => {
  const { client, sim } = await startAppWithSim(t, {}, { MISTRAL_DIALECT: 'openai' })
  const session = await client.converse()
  await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Hi' } })
  t.strictSame(Object.keys(sim.requests()[0]?.json ?? {}), ['model', 'messages', 'stream'])
})

t.test('a chatbot that is set so answers while its model is away, and says so', async (t) => {
  const { client, sim, db } = await startAppWithSim(t, {}, { MISTRAL_TIMEOUT_MS: '200' })
  const fail = () => sim.script([{ times: 3, fault: { status: { code: 500 } } }])
  const message = 'When do parcels leave?'
  const session = await client.converse({ fallback: 'offline', instructions })
  const path = `/api/sessions/${session}/messages`
  const marked = {
    status: 'completed',
    model: 'offline-extractive',
    fallback: true,
    content: 'Parcels leave the warehouse within two days.',
    usage: { estimated: true }
  }

  fail()
  const { status, body } = await client.ask<Exchange>(path, { body: { message } })
  t.equal(status, 200)
  t.match(body.botMessage, marked)
  t.notOk('fallback' in body.userMessage)
  t.match((await client.ask(`${path}/${body.botMessage.id}`)).body, marked, 'it is stored')

  sim.reset()
  fail()
  const { events } = await client.events(path, { body: { message } })
  const sent = await allOf(events)
  t.match(sent.at(-1), { event: 'message.completed', data: { botMessage: marked } })

  sim.reset()
  const { body: well } = await client.ask<Exchange>(path, { body: { message } })
  t.match(well.botMessage, { model: 'mistral-small-latest', content: /^sim:/ })
  t.notOk('fallback' in well.botMessage)

  await db.collection('configs').updateMany({}, { $unset: { fallback: true } })
  const { body: { data: [config] } } = await client.ask<{ data: object[] }>('/api/configs')
  t.match(config, { fallback: 'none' }, 'a document that is older than the setting')
})
