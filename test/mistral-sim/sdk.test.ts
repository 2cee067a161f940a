import { Mistral } from '@mistralai/mistralai'
import OpenAI from 'openai'
import t from 'tap'
import { type SimOptions } from '../../src/mistral-sim/index.ts'
import { simFor } from './support.ts'

const MODEL = 'mistral-small-latest'

const clientFor = async (options: SimOptions = {}): Promise<{ client: Mistral, key: (apiKey: string) => Mistral }> => {
  const sim = await simFor(t, { strict: true, ...options })
  const key = (apiKey: string): Mistral => new Mistral({ apiKey, serverURL: sim.url, timeoutMs: 10_000 })
  return { client: key('sim'), key }
}

const joined = (contents: unknown[]): string => contents.filter((text) => typeof text === 'string').join('')

const weather = {
  type: 'function' as const,
  function: {
    name: 'weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
  }
}

t.test('the official SDK completes a chat', async (t) => {
  const { client } = await clientFor()
  const reply = await client.chat.complete({ model: MODEL, messages: [{ role: 'user', content: 'Salut à tous' }] })
  const [choice] = reply.choices
  t.match(choice?.message?.content, /^sim:[0-9a-f]{8} Salut à tous$/)
  t.equal(choice?.finishReason, 'stop')
  t.equal(reply.model, MODEL)
  t.equal(reply.usage.totalTokens, (reply.usage.promptTokens ?? 0) + (reply.usage.completionTokens ?? 0))
})

t.test('the official SDK reads a stream to its end, with the same text and usage', async (t) => {
  const { client } = await clientFor()
  const messages = [{ role: 'user' as const, content: 'one two three' }]
  const whole = await client.chat.complete({ model: MODEL, messages })
  const chunks = []
  for await (const { data } of await client.chat.stream({ model: MODEL, messages })) chunks.push(data)
  t.equal(joined(chunks.map((chunk) => chunk.choices[0]?.delta.content)), whole.choices[0]?.message?.content)
  t.equal(chunks.length, 6, 'role, four words, finish')
  t.equal(chunks.at(-1)?.choices[0]?.finishReason, 'stop')
  t.same(chunks.at(-1)?.usage, whole.usage)
  t.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === undefined))
})

t.test('the official SDK reads a stream of single bytes with CRLF and comments', async (t) => {
  const { client } = await clientFor({
    cadence: { packet: 'split:3', eol: 'crlf', keepAliveCommentMs: 1, firstDelayMs: 3, spaceAfterColon: false }
  })
  const texts = []
  const stream = await client.chat.stream({ model: MODEL, messages: [{ role: 'user', content: 'été 🙂 fin' }] })
  for await (const { data } of stream) texts.push(data.choices[0]?.delta.content)
  t.match(joined(texts), /^sim:\w{8} été 🙂 fin$/)
})

t.test('the official SDK gets a tool call, sends its result and reads the answer', async (t) => {
  const { client } = await clientFor()
  const question = { role: 'user' as const, content: '/tool weather {"city":"Metz"}' }
  const first = await client.chat.complete({ model: MODEL, messages: [question], tools: [weather] })
  const turn = first.choices[0]?.message
  const [call] = turn?.toolCalls ?? []
  t.equal(first.choices[0]?.finishReason, 'tool_calls')
  t.match(call, { id: /^[a-zA-Z0-9]{9}$/, function: { name: 'weather', arguments: '{"city":"Metz"}' } })
  const messages = [
    question,
    { role: 'assistant' as const, toolCalls: turn?.toolCalls, content: turn?.content },
    { role: 'tool' as const, name: 'weather', toolCallId: call?.id, content: '12 degrees' }
  ]
  const second = await client.chat.complete({ model: MODEL, messages, tools: [weather] })
  t.match(second.choices[0]?.message?.content, /weather said "12 degrees"/)
  const streamed = []
  for await (const { data } of await client.chat.stream({
    model: MODEL, messages: [question], tools: [weather], toolChoice: 'any'
  })) streamed.push(data.choices[0])
  t.match(streamed.at(-1), { finishReason: 'tool_calls', delta: { toolCalls: [{ function: { name: 'weather' } }] } })
})

t.test('the official SDK reads thinking, whole and streamed', async (t) => {
  const { client } = await clientFor()
  const request = {
    model: MODEL, reasoningEffort: 'high' as const, messages: [{ role: 'user' as const, content: 'think about it' }]
  }
  const whole = await client.chat.complete(request)
  t.match(whole.choices[0]?.message?.content, [{ type: 'thinking', closed: true }, { type: 'text', text: /about it$/ }])
  const contents = []
  for await (const { data } of await client.chat.stream(request)) contents.push(data.choices[0]?.delta.content)
  t.match(contents[1], [{ type: 'thinking', thinking: [{ type: 'text', text: 'The' }] }])
  t.match(contents.at(-2), ' it')
})

t.test('the official SDK embeds, moderates, fills in and lists models', async (t) => {
  const { client } = await clientFor()
  const embedded = await client.embeddings.create({ model: 'mistral-embed', inputs: ['a', 'b', 'a'] })
  const [a, b, again] = embedded.data.map((entry) => entry.embedding)
  t.equal(a?.length, 1024)
  t.same(a, again)
  t.notSame(a, b)
  t.ok(Math.abs(Math.hypot(...a ?? []) - 1) < 1e-6)

  const verdict = await client.classifiers.moderate({ model: 'mistral-moderation-latest', inputs: ['hi', 'a law'] })
  t.same(verdict.results.map((result) => result.categories?.law), [false, true])
  const chats = await client.classifiers.moderateChat({
    model: 'mistral-moderation-latest', inputs: [{ role: 'user', content: 'jailbreaking' }]
  })
  t.equal(chats.results[0]?.categories?.jailbreaking, true)

  const filled = await client.fim.complete({ model: 'codestral-latest', prompt: 'def f(', suffix: 'return a' })
  t.match(filled.choices[0]?.message?.content, /def f\(return a/)

  const models = await client.models.list()
  t.ok(models.data?.some((model) => 'id' in model && model.id === MODEL))
  const card = await client.models.retrieve({ modelId: MODEL })
  t.match(card, { id: MODEL, aliases: ['mistral-small-2603'] })
})

t.test('the official SDK talks to agents and conversations', async (t) => {
  const { client } = await clientFor()
  const agent = await client.agents.complete({ agentId: 'ag_1', messages: [{ role: 'user', content: 'hello agent' }] })
  t.match(agent.choices[0]?.message?.content, /hello agent$/)
  const started = await client.beta.conversations.start({ model: MODEL, inputs: 'hello there' })
  t.match(started.outputs[0], { type: 'message.output', content: /hello there$/ })
  const events = []
  for await (const event of await client.beta.conversations.startStream({ model: MODEL, inputs: 'hello there' })) {
    events.push(event)
  }
  t.same(events.map(({ event }) => event), ['conversation.response.started', 'message.output.delta',
    'message.output.delta', 'message.output.delta', 'conversation.response.done'])
})

t.test('the official SDK is refused as the API refuses', async (t) => {
  const { client, key } = await clientFor({ keys: ['sim'] })
  const messages = [{ role: 'user' as const, content: 'hi' }]
  const failure = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error)
  t.match(await failure(key('wrong').chat.complete({ model: MODEL, messages })), { statusCode: 401 })
  t.match(await failure(client.chat.complete({ model: 'gpt-9', messages })), { statusCode: 400, body: /"1500"/ })
  t.match(await failure(client.models.retrieve({ modelId: 'none' })), { statusCode: 404 })
})

const openaiFor = async (options: SimOptions = {}) => {
  const sim = await simFor(t, { strict: true, ...options })
  return { sim, client: new OpenAI({ apiKey: 'sim', baseURL: `${sim.url}/v1`, maxRetries: 0, timeout: 10_000 }) }
}
const hello = [{ role: 'user' as const, content: 'one two three' }]

t.test("OpenAI's SDK completes a chat and reads the same as a stream", async (t) => {
  const { client } = await openaiFor({ cadence: { packet: 'split:5', eol: 'crlf' } })
  const whole = await client.chat.completions.create({ model: MODEL, messages: hello })
  t.match(whole.choices[0], { message: { content: /^sim:\w{8} one two three$/ }, finish_reason: 'stop' })
  const chunks = []
  for await (const chunk of await client.chat.completions.create({ model: MODEL, messages: hello, stream: true })) {
    chunks.push(chunk)
  }
  t.equal(joined(chunks.map((chunk) => chunk.choices[0]?.delta.content)), whole.choices[0]?.message.content)
  t.same(chunks.at(-1)?.usage, whole.usage)
})

t.test("OpenAI's SDK accumulates tool calls in either style", async (t) => {
  const { client } = await openaiFor()
  for (const model of [MODEL, 'zai-glm-5-2']) {
    const messages = [{ role: 'user' as const, content: '/tool weather {"city":"Metz"}' }]
    const reply = await client.chat.completions.create({ model, messages, tools: [weather] })
    t.match(reply.choices[0]?.message.tool_calls, [{ function: { name: 'weather', arguments: '{"city":"Metz"}' } }])
  }
  const messages = [{ role: 'user' as const, content: '/tool weather {"city":"Metz"}' }]
  const stream = client.chat.completions.stream({ model: 'zai-glm-5-2', messages, tools: [weather] })
  const { choices } = await stream.finalChatCompletion()
  t.match(choices[0]?.message.tool_calls, [{ function: { name: 'weather', arguments: '{"city":"Metz"}' } }])
})

t.test("OpenAI's SDK embeds by base64, which it asks for unless told otherwise", async (t) => {
  const { client, sim } = await openaiFor()
  const packed = await client.embeddings.create({ model: 'mistral-embed', input: ['a', 'b'] })
  const plain = await client.embeddings.create({ model: 'mistral-embed', input: ['a', 'b'], encoding_format: 'float' })
  t.match(sim.requests().map(({ json }) => json), [{ encoding_format: 'base64' }, { encoding_format: 'float' }])
  t.equal(packed.data[0]?.embedding.length, 1024)
  t.same(packed.data, plain.data)
})

t.test("OpenAI's SDK is refused, and reads the errors of its own form only", async (t) => {
  const { client, sim } = await openaiFor()
  const failure = async (): Promise<unknown> =>
    await client.chat.completions.create({ model: MODEL, messages: hello }).catch((error: unknown) => error)
  sim.script([{ fault: { status: { code: 429, bodyShape: 'openai' } } }, { fault: { status: { code: 429 } } }])
  t.match(await failure(), { status: 429, message: '429 Requests rate limit exceeded' })
  t.match(await failure(), { status: 429, message: '429 status code (no body)' })
})
