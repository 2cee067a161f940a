import t from 'tap'
import { type Sim, type SimOptions } from '../../src/mistral-sim/index.ts'
import { PromptCache } from '../../src/mistral-sim/replies/usage.ts'
import { chatBody, eventsIn, type Json, post, simFor } from './support.ts'

const CHAT = '/v1/chat/completions'

interface Said { text: unknown, finish: unknown, usage: Json | undefined, calls: Json | undefined, json: Json }

async function say (sim: Sim, content: string, more: object = {}): Promise<Said> {
  const { json } = await post(sim, CHAT, chatBody(content, more))
  const choice = json.choices?.[0]
  return {
    text: choice?.message?.content,
    finish: choice?.finish_reason,
    usage: json.usage,
    calls: choice?.message?.tool_calls,
    json
  }
}

t.test('the reply has the keys that were recorded of the API', async (t) => {
  const sim = await simFor(t)
  const { json } = await say(sim, 'Hello')
  t.match(json, {
    id: /^[0-9a-f]{32}$/, object: 'chat.completion', created: 1769088720, model: 'mistral-small-latest'
  })
  t.same(Object.keys(json).sort(), ['choices', 'created', 'id', 'model', 'object', 'usage'])
  t.same(Object.keys(json.choices?.[0] ?? {}).sort(), ['finish_reason', 'index', 'message'])
  t.same(json.choices?.[0]?.message?.tool_calls, null)
  t.same(Object.keys(json.usage ?? {}), ['prompt_tokens', 'total_tokens', 'completion_tokens'])
})

t.test('the stream has the chunks that were recorded of the API', async (t) => {
  const sim = await simFor(t)
  const { text, headers } = await post(sim, CHAT, chatBody('Hello', { stream: true }))
  t.match(headers.get('content-type'), /^text\/event-stream/)
  t.match(headers.get('mistral-correlation-id'), /^[0-9a-f]{32}$/)
  t.match(text, /^(data: \{.*\}\n\n){4}data: \[DONE\]\n\n$/)
  const [first, word, , last] = eventsIn(text)
  t.same(Object.keys(first ?? {}), ['id', 'object', 'created', 'model', 'choices'])
  t.same(first?.choices,
    [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null, logprobs: null }])
  t.match(word?.choices, [{ index: 0, delta: { content: /^sim:/ }, finish_reason: null, logprobs: null }])
  t.same(last?.choices, [{ index: 0, delta: { content: '' }, finish_reason: 'stop', logprobs: null }])
  t.match(last?.usage, { prompt_tokens: 6, total_tokens: 11, completion_tokens: 5 })
})

t.test('the same requests get the same replies, byte for byte', async (t) => {
  const all = async (): Promise<string[]> => {
    const sim = await simFor(t)
    const bodies = [
      chatBody('a'), chatBody('a'), chatBody('a', { random_seed: 1 }), chatBody('b', { stream: true }),
      chatBody('/tool f', { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }] })
    ]
    const texts = []
    for (const body of bodies) texts.push((await post(sim, CHAT, body)).text)
    sim.reset()
    texts.push((await post(sim, CHAT, chatBody('a'))).text)
    return texts
  }
  const [first, second] = [await all(), await all()]
  t.same(first, second)
  t.equal(first[0], first[5], 'a reset starts again')
  const content = (text = ''): unknown => (JSON.parse(text) as Json).choices?.[0]?.message?.content
  t.equal(content(first[0]), content(first[1]))
  t.not(content(first[0]), content(first[2]), 'a seed changes the text')
  t.not((JSON.parse(first[0] ?? '') as Json).id, (JSON.parse(first[1] ?? '') as Json).id, 'ids differ')
})

t.test('the order of keys in a request makes no difference', async (t) => {
  const sim = await simFor(t)
  const body = { model: 'mistral-small-latest', messages: [{ role: 'user', content: 'a' }] }
  const turned = { messages: [{ content: 'a', role: 'user' }], model: 'mistral-small-latest' }
  const first = (await post(sim, CHAT, body)).text
  sim.reset()
  t.equal((await post(sim, CHAT, turned)).text, first)
})

t.test('max_tokens, stop, n and prefix shape the text', async (t) => {
  const sim = await simFor(t)
  const full = await say(sim, 'alpha beta gamma')
  const cut = await say(sim, 'alpha beta gamma', { max_tokens: 5 })
  t.equal(cut.finish, 'length')
  t.equal(cut.text, (full.text as string).slice(0, 20))
  t.match(cut.usage, { completion_tokens: 5 })
  t.match(await say(sim, 'x', { max_tokens: 0 }), { text: '', finish: 'length' })
  const emoji = await say(sim, '🙂🙂🙂', { max_tokens: 5 })
  t.match(emoji.text, /^sim:\w{8} 🙂$/, 'never cut inside a character')
  t.match(await say(sim, 'alpha beta gamma', { stop: [' gamma', '', 'zzz'] }), { text: /alpha beta$/, finish: 'stop' })
  t.match(await say(sim, 'alpha beta', { stop: 'alpha' }), { text: /^sim:\w{8} $/, finish: 'stop' })
  const three = await post(sim, CHAT, chatBody('x', { n: 3 }))
  t.same([0, 1, 2].map((index) => (three.json.choices?.[index]?.message?.content as unknown as string).slice(12)),
    [' x', ' x #2', ' x #3'])
  const streamed = eventsIn((await post(sim, CHAT, chatBody('x', { n: 2, stream: true }))).text)
  t.equal(streamed.filter((chunk) => 'usage' in Object(chunk)).length, 1, 'usage once')
  t.same(streamed.at(-2)?.choices?.[0]?.index, 1)
  const messages = [{ role: 'user', content: 'q' }, { role: 'assistant', content: 'Dear ', prefix: true }]
  t.match((await say(sim, '', { messages })).text, /^Dear sim:\w{8} q$/)
})

t.test('content in chunks is read, and a message without text is no problem', async (t) => {
  const sim = await simFor(t)
  const words = (text: string): object => ({ type: 'text', text })
  const content = [words('look '), { type: 'image_url', image_url: 'u' }, words('here')]
  t.match((await say(sim, '', { messages: [{ role: 'user', content }] })).text, /look here$/)
  t.match((await say(sim, '', { messages: [{ role: 'user', content: null }] })).text, /^sim:\w{8} $/)
  t.match(eventsIn((await post(sim, CHAT, chatBody('   ', { stream: true }))).text)[1]?.choices?.[0]?.delta?.content,
    /^sim:\w{8} {4}$/)
})

t.test('JSON modes answer JSON, and a schema is obeyed', async (t) => {
  const sim = await simFor(t)
  const parsed = async (format: object): Promise<unknown> =>
    JSON.parse((await say(sim, 'in JSON', { response_format: format })).text as string)
  t.same(await parsed({ type: 'json_object' }), { sim: true, echo: 'in JSON' })
  const schema = {
    type: 'object',
    required: ['text', 'long', 'when', 'other', 'count', 'half', 'more', 'least', 'most', 'yes', 'list', 'bare', 'pick',
      'fixed', 'given', 'either', 'all', 'ref', 'none', 'maybe', 'unknown', 'loop'],
    properties: {
      text: { type: 'string' },
      long: { type: 'string', minLength: 5, maxLength: 6 },
      when: { type: 'string', format: 'date' },
      other: { type: 'string', format: 'odd', maxLength: 1 },
      count: { type: 'integer', minimum: 3 },
      half: { type: 'number', multipleOf: 0.5, minimum: 0.7 },
      more: { type: 'integer', exclusiveMinimum: 4 },
      least: { type: 'number' },
      most: { type: 'number', maximum: -1 },
      yes: { type: 'boolean' },
      list: { type: 'array', minItems: 2, items: { type: 'integer' } },
      bare: { type: 'array', minItems: 1 },
      pick: { enum: ['b', 'a'] },
      fixed: { const: 7 },
      given: { type: 'string', default: 'd' },
      either: { anyOf: [{ type: 'null' }, { type: 'string' }] },
      all: {
        allOf: [{ properties: { a: { type: 'integer' } }, required: ['a'] }, { $ref: '#/$defs/b~1c' }, true],
        required: ['a']
      },
      ref: { $ref: '#/$defs/b~1c' },
      none: { $ref: '#/$defs/missing/deeper' },
      maybe: { type: ['string', 'null'] },
      loop: { $ref: '#/properties/loop' },
      optional: { type: 'string' }
    },
    $defs: { 'b/c': { type: 'object', properties: { b: { type: 'boolean' } }, required: ['b'] } }
  }
  t.same(await parsed({ type: 'json_schema', json_schema: { name: 's', schema } }), {
    text: 'sim',
    long: 'sim--',
    when: '2026-01-01',
    other: 's',
    count: 3,
    half: 1,
    more: 5,
    least: 0,
    most: -1,
    yes: false,
    list: [0, 0],
    bare: [null],
    pick: 'b',
    fixed: 7,
    given: 'd',
    either: null,
    all: { a: 0, b: false },
    ref: { b: false },
    none: null,
    maybe: 'sim',
    unknown: {},
    loop: null
  })
  t.same(await parsed({ type: 'json_schema' }), {})
})

const tool = (name: string): object => ({
  type: 'function',
  function: { name, parameters: { properties: { n: { type: 'integer', minimum: 2 } }, required: ['n'] } }
})

t.test('tools are called when the text or the choice asks for it', async (t) => {
  const sim = await simFor(t)
  const tools = [tool('one'), tool('two'), { type: 'web_search' }]
  const names = ({ calls }: Said): unknown =>
    calls === null || calls === undefined ? calls : (calls as unknown as Json[]).map((call) => call.function?.name)
  t.same(names(await say(sim, 'hi', { tools })), null)
  t.same(names(await say(sim, '/tool two {"n":1}', { tools })), ['two'])
  t.same(names(await say(sim, '/tool three', { tools })), null, 'an unknown tool is not called')
  t.same(names(await say(sim, '/tool one', { tools, tool_choice: 'none' })), null)
  t.same(names(await say(sim, 'do\n/tool one\n/tool two {"n":9}', { tools })), ['one', 'two'])
  t.same(names(await say(sim, '/tool one\n/tool two', { tools, parallel_tool_calls: false })), ['one'])
  const forced = await say(sim, 'hi', { tools, tool_choice: 'any' })
  const smallest = { id: /^\w{9}$/, function: { name: 'one', arguments: '{"n":2}' } }
  t.match(forced, { finish: 'tool_calls', text: '', calls: [smallest] })
  t.same(names(await say(sim, 'hi', { tools, tool_choice: 'required' })), ['one'])
  const named = { type: 'function', function: { name: 'two' } }
  t.same(names(await say(sim, '/tool one', { tools, tool_choice: named })), ['two'])
  t.same(names(await say(sim, 'hi', { tools: [{ type: 'web_search' }], tool_choice: 'any' })), null)
  t.same(names(await say(sim, '', {
    tools,
    tool_choice: 'any',
    messages: [{ role: 'user', content: 'q' }, { role: 'assistant', content: 'a', prefix: true }]
  })), ['one'])
})

t.test('tool calls stream whole, or in fragments as foreign models send them', async (t) => {
  const sim = await simFor(t)
  const chunks = async (more: object): Promise<Json[]> => {
    const body = chatBody('/tool one {"n":1}', { tools: [tool('one')], stream: true, ...more })
    return eventsIn((await post(sim, CHAT, body)).text).slice(0, -1)
  }
  const whole = await chunks({})
  t.equal(whole.length, 2)
  t.match(whole[1]?.choices?.[0], {
    delta: { content: null, tool_calls: [{ id: /^[A-Za-z0-9]{9}$/, function: { name: 'one', arguments: '{"n":1}' } }] },
    finish_reason: 'tool_calls'
  })
  t.same(Object.keys(whole[1]?.choices?.[0]?.delta?.tool_calls?.[0] ?? {}), ['id', 'function'])
  const parts = (await chunks({ model: 'zai-glm-5-2' })).flatMap((chunk) => {
    const [call] = (chunk.choices?.[0]?.delta?.tool_calls ?? []) as unknown as Json[]
    return call === undefined ? [] : [call]
  })
  t.match(parts[0], { id: /^chatcmpl-tool-/, index: 0, function: { name: 'one', arguments: '' } })
  t.same(parts.map((part) => part.function?.arguments), ['', '{"n"', ':1}'])
  t.same(parts.map((part) => part.function?.name), ['one', '', ''])
})

t.test('after tools the reply quotes their results', async (t) => {
  const sim = await simFor(t)
  const call = (id: string): object => ({ id, function: { name: 'f', arguments: { deep: true } } })
  const messages = [
    { role: 'user', content: 'q' },
    { role: 'assistant', tool_calls: [call('aaaaaaaaa'), call('bbbbbbbbb')] },
    { role: 'tool', content: 'first', tool_call_id: 'aaaaaaaaa', name: 'f' },
    { role: 'tool', content: [{ type: 'text', text: 'second' }], tool_call_id: 'bbbbbbbbb' }
  ]
  t.match((await say(sim, '', { messages, tools: [tool('f')] })).text, /f said "first"; tool said "second"$/)
})

t.test('usage counts the same in one piece and as a stream, and remembers cached prompts', async (t) => {
  const sim = await simFor(t)
  const long = 'word '.repeat(200)
  const whole = await say(sim, long)
  const stream = eventsIn((await post(sim, CHAT, chatBody(long, { stream: true }))).text)
  t.same(stream.at(-2)?.usage, whole.usage)
  t.match(whole.usage, { prompt_tokens: 254 })
  const cached = async (content: string, key: string): Promise<unknown> =>
    (await say(sim, content, { prompt_cache_key: key })).usage?.prompt_tokens_details?.cached_tokens
  t.equal(await cached(long, 'k'), 0)
  t.equal(await cached(`${long}and more`, 'k'), 192, 'whole blocks of 64')
  t.equal(await cached(long, 'other'), 0)
  sim.reset()
  t.equal(await cached(long, 'k'), 0)
  const safe = await say(sim, 'x', { safe_prompt: true })
  t.ok(Number(safe.usage?.prompt_tokens) > 20)
  t.match((await say(sim, 'x', { service_tier: 'auto' })).usage, { service_tier: 'standard' })
})

t.test('the cache forgets its oldest keys', async (t) => {
  const cache = new PromptCache((text) => text.length)
  const prompt = ['x'.repeat(100)]
  cache.cachedTokens('first', prompt)
  t.equal(cache.cachedTokens('first', prompt), 64)
  for (let index = 0; index < 1000; index++) cache.cachedTokens(`many ${index}`, prompt)
  t.equal(cache.cachedTokens('first', prompt), 0)
  t.equal(cache.cachedTokens('many 999', prompt), 64)
})

t.test('the tokenizer and the epoch can be chosen', async (t) => {
  const options: SimOptions = { tokenizer: (text) => text.length, epoch: 5 }
  const sim = await simFor(t, options)
  const { usage, json } = await say(sim, 'abc')
  t.match(usage, { prompt_tokens: 7, completion_tokens: 16 })
  t.equal(json.created, 5)
})

t.test('fill-in-the-middle answers like a chat', async (t) => {
  const sim = await simFor(t)
  const body = { model: 'codestral-latest', prompt: 'a b', max_tokens: 50, prompt_cache_key: 'k' }
  t.match((await post(sim, '/v1/fim/completions', body)).json,
    { object: 'chat.completion', choices: [{ message: { content: /^sim_\w{8}\(a b\)$/ } }] })
  const { text } = await post(sim, '/v1/fim/completions', { ...body, stream: true, suffix: 'c', random_seed: 2 })
  t.match(eventsIn(text).at(-2), { usage: { prompt_tokens: 10 } })
})

t.test('agents and conversations answer thinly', async (t) => {
  const sim = await simFor(t)
  const messages = [{ role: 'user', content: 'yo' }]
  const agent = await post(sim, '/v1/agents/completions', { agent_id: 'x', messages })
  t.match(agent.json, { model: 'mistral-medium-latest', choices: [{ message: { content: /yo$/ } }] })
  const talk = async (body: object): Promise<Json> => (await post(sim, '/v1/conversations', body)).json
  t.match(await talk({
    instructions: 'be kind',
    inputs: [{ role: 'user', content: 'one' }, { role: 'assistant', content: 'a' }, { type: 'x' }, { content: 'two' }],
    guardrails: [{ moderation_llm_v2: {} }]
  }), { outputs: [{ content: /two$/ }], guardrails: [{ violated: false }], conversation_id: /^conv_/ })
  t.match(await talk({ inputs: [] }), { object: 'Error', code: 3001 })
  t.match(await talk({ inputs: 'hi', unknown: 1 }), { detail: [{ type: 'extra_forbidden' }] })
})

t.test('embeddings are unit vectors of the text in every form and within the limits', async (t) => {
  const sim = await simFor(t)
  const embed = async (input: unknown, more: object = {}): Promise<Json> =>
    (await post(sim, '/v1/embeddings', { model: 'codestral-embed', input, ...more })).json
  const vector = async (more: object): Promise<unknown> => (await embed('a', more)).data?.[0]?.embedding
  const floats = await vector({ output_dimension: 16 }) as number[]
  t.equal(floats.length, 16)
  const base64 = Buffer.from(await vector({ output_dimension: 16, encoding_format: 'base64' }) as string, 'base64')
  t.same(floats, Array.from({ length: 16 }, (_, index) => base64.readFloatLE(index * 4)))
  t.equal((await vector({}) as number[]).length, 1536)
  const int8 = await vector({ output_dimension: 16, output_dtype: 'int8' }) as number[]
  t.ok(int8.every((number) => Number.isInteger(number) && Math.abs(number) <= 127))
  t.same(await vector({ output_dimension: 16, output_dtype: 'uint8' }), int8.map((number) => number + 128))
  const bits = await vector({ output_dimension: 16, output_dtype: 'ubinary' }) as number[]
  t.equal(bits.length, 2)
  t.same(await vector({ output_dimension: 16, output_dtype: 'binary' }), bits.map((byte) => byte - 128))
  t.equal(await vector({ output_dimension: 16, output_dtype: 'ubinary', encoding_format: 'base64' }),
    Buffer.from(bits).toString('base64'))
  t.match(await embed(['aaaa', 'bbbbb']),
    { object: 'list', usage: { prompt_tokens: 3, total_tokens: 3, completion_tokens: 0 } })
  t.match(await embed(Array.from({ length: 513 }, () => 'a')), { code: '3210', message: /Too many inputs/ })
  t.match(await embed('x'.repeat(65_537)), { code: '3210', message: /Too many tokens overall/ })
  t.match(await embed('a', { output_dimension: 3073 }), { message: /at most 3072/ })
  t.match(await embed('a', { model: 'mistral-embed', output_dimension: 5 }), { message: /fixed output_dimension/ })
  t.match(await embed('a', { model: 'mistral-embed', output_dtype: 'int8' }), { message: /only answers float/ })
})

t.test('moderation judges each text, and the last message of each conversation', async (t) => {
  const sim = await simFor(t)
  const model = 'mistral-moderation-2603'
  const one = await post(sim, '/v1/moderations', { model, input: 'financial' })
  const verdict = { categories: { financial: true, law: false }, category_scores: { financial: 0.99 } }
  t.match(one.json, { model, results: [verdict] })
  const law = [{ role: 'user', content: 'law' }, { role: 'assistant', content: 'fine' }]
  const flags = async (input: unknown): Promise<unknown> =>
    ((await post(sim, '/v1/chat/moderations', { model, input })).json.results as unknown as Json[])
      .map((result) => result.categories?.law)
  t.same(await flags(law), [false])
  t.same(await flags([law, law.slice(0, 1)]), [false, true])
  t.same(await flags([]), [])
})
