import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { cosineSimilarity, embed, embedMany, generateText, streamText } from 'ai'
import OpenAI from 'openai'
import t from 'tap'
import { startApp } from '../helper.ts'
import { startAppWithSim } from '../sim.ts'

const withModel = await startAppWithSim(t)
const without = await startApp(t, {})

t.test('the AI SDK has text written, streamed and embedded', async (t) => {
  for (const [label, { client, adminKey }] of [['a model', withModel], ['no model', without]] as const) {
    const model = await client.createConfig({ name: 'Shop', instructions: 'Orders ship on Mondays. Returns are free.' })
    const parley = createOpenAICompatible({ name: 'parley', baseURL: `${client.url}/v1`, apiKey: adminKey, includeUsage: true })
    const prompt = 'When do orders ship?'
    const { text, usage, finishReason } = await generateText({ model: parley.chatModel(model), instructions: 'Be brief.', prompt })
    t.match(text, label === 'a model' ? /^sim:.*When do orders ship\?$/ : 'Orders ship on Mondays.', label)
    t.match(usage, { inputTokens: Number, outputTokens: Number })
    t.equal(finishReason, 'stop')
    const streamed = streamText({ model: parley.chatModel('Shop'), messages: [{ role: 'user', content: prompt }] })
    t.match((await Array.fromAsync(streamed.textStream)).join(''), text.replace(/^sim:\S+ /, ''))
    t.ok((await streamed.totalUsage).outputTokens)
    const embeddings = parley.embeddingModel('mistral-embed')
    const { embedding } = await embed({ model: embeddings, value: prompt })
    t.equal(embedding.length, 1024)
    const many = await embedMany({ model: embeddings, values: [prompt, 'Bananas are yellow.'] })
    t.ok(cosineSimilarity(many.embeddings[0]!, embedding) > 0.999)
    await t.rejects(generateText({ model: parley.chatModel('nobody'), prompt, maxRetries: 0 }), { statusCode: 404, message: /nobody/ })
  }
})

t.test('vectors come as numbers and as bytes', async (t) => {
  for (const [label, { client, adminKey, app, db }] of [['mistral-embed', withModel], ['offline-hashed-words', without]] as const) {
    const openai = new OpenAI({ apiKey: adminKey, baseURL: `${client.url}/v1`, maxRetries: 0 })
    const input = ['When do orders ship?', 'Orders ship when?', 'Bananas are yellow.']
    const numbers = await openai.embeddings.create({ model: 'mistral-embed', input, encoding_format: 'float' })
    const unpacked = await openai.embeddings.create({ model: 'mistral-embed', input })
    t.strictSame(unpacked.data, numbers.data, 'which the SDK asks for unless told')
    t.match(numbers, { object: 'list', model: label, data: [{ index: 0 }, { index: 1 }, { index: 2 }], usage: { prompt_tokens: Number, total_tokens: Number } })
    const [one, same, other] = numbers.data.map(({ embedding }) => embedding) as [number[], number[], number[]]
    t.ok(Math.abs(Math.hypot(...one) - 1) < 1e-5)
    if (label !== 'mistral-embed') t.ok(cosineSimilarity(one, same) > cosineSimilarity(one, other))
    t.equal((await openai.embeddings.create({ model: 'mistral-embed', input: '?!' })).data.length, 1, 'without a word, too')
    for (const [members, param] of [[{ input: [] }, 'input'], [{ input: [1, 2] }, 'input'], [{ input: '' }, 'input'], [{ input: 'x', dimensions: 7 }, 'dimensions']] as const) {
      await t.rejects(openai.embeddings.create({ model: 'mistral-embed', ...members } as never), { status: 400, param, type: 'invalid_request_error' } as never)
    }
    await app.usageLedger.flush()
    t.match(await db.collection('usageEvents').findOne({ purpose: 'embedding' }), { model: label, outcome: 'completed', messages: 0 })
  }
  withModel.sim.script([{ fault: { status: { code: 400 } } }])
  t.match(await withModel.client.ask('/v1/embeddings', { body: { model: 'mistral-embed', input: 'x' } }), { status: 502, body: { error: { code: 'upstream_rejected' } } })
})

t.test('without a model there is no other form than text', async (t) => {
  const { client, adminKey } = without
  const openai = new OpenAI({ apiKey: adminKey, baseURL: `${client.url}/v1`, maxRetries: 0 })
  const model = await client.createConfig()
  await t.rejects(openai.responses.create({ model, input: 'x', text: { format: { type: 'json_object' } } }),
    { status: 400, code: 'unsupported_parameter', param: 'text.format' })
})

t.test('a conversation that is not stored asks nothing of what is stored, and leaves a record behind it', async (t) => {
  const { client, app } = without
  await client.createConfig({ name: 'Asked often' })
  const ask = async () => await client.ask('/v1/chat/completions', { body: { model: 'Asked often', messages: [{ role: 'user', content: 'When?' }] } })
  await ask()
  const commands = new Set<string>()
  app.mongo.client.on('commandStarted', ({ commandName, command }) => { commands.add(`${commandName} ${String(Object.values(command)[0])}`) })
  t.equal((await ask()).status, 200)
  await app.usageLedger.flush()
  t.strictSame(['insert sessions', 'findAndModify sessions', 'insert messages', 'findAndModify messages', 'findAndModify quotaCounters'].filter((name) => commands.has(name)), [])
  t.ok(commands.has('insert usageEvents'))
})

// Last: it takes nothing on afterwards.
t.test('a server that goes away lets what it writes end, and then says so', async (t) => {
  const { client, adminKey, app, sim } = withModel
  const openai = new OpenAI({ apiKey: adminKey, baseURL: `${client.url}/v1`, maxRetries: 0 })
  const model = await client.createConfig()
  const create = async () => await openai.chat.completions.create({ model, stream: true, messages: [{ role: 'user', content: 'A long story' }] })
  sim.script([{ fault: { hangAfter: { chunks: 3 } } }])
  const reading = (await create())[Symbol.asyncIterator]()
  await reading.next()
  const drained = app.chat.drain(0)
  await t.rejects(create(), { status: 503, code: 'overloaded', type: 'server_error' })
  await t.rejects((async () => { while (!(await reading.next()).done); })(), { type: 'server_error', code: 'overloaded' })
  await drained
})
