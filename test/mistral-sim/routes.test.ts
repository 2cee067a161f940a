import t from 'tap'
import { ask, chatBody, eventsIn, post, simFor } from './support.ts'

const CHAT = '/v1/chat/completions'

t.test('paths and methods are told apart as the API does', async (t) => {
  const sim = await simFor(t)
  const cases: Array<[string, string, number, string]> = [
    ['GET', '/v1/nothing', 404, '{"detail":"Not Found"}'],
    ['GET', '//', 404, '{"detail":"Not Found"}'],
    ['GET', CHAT, 405, '{"detail":"Method Not Allowed"}'],
    ['POST', '/v1/models', 405, '{"detail":"Method Not Allowed"}'],
    ['PUT', '/v1/models/mistral-embed', 405, '{"detail":"Method Not Allowed"}'],
    ['GET', '/v1/models/%zz', 404, '{"detail":"Not Found"}'],
    ['GET', '/__sim/requests', 404, '{"detail":"Not Found"}']
  ]
  for (const [method, path, status, text] of cases) {
    const reply = await ask(sim, method, path)
    t.same([reply.status, reply.text], [status, text], `${method} ${path}`)
  }
  for (const [method, path] of [
    ['DELETE', '/v1/models/mistral-embed'], ['GET', '/v1/conversations'], ['POST', '/v1/ocr'], ['GET', '/v1/files/x'],
    ['GET', '/v2/skills']
  ] as const) {
    const reply = await ask(sim, method, path)
    t.equal(reply.status, 501, `${method} ${path}`)
    t.match(reply.json, { object: 'error', type: 'not_implemented', code: null })
  }
})

t.test('a key is needed, and an exhausted plan looks like a wrong key', async (t) => {
  const sim = await simFor(t, { keys: ['good'], quotaKeys: ['empty'] })
  const as = async (authorization?: string): Promise<[number, unknown]> => {
    const headers = { 'content-type': 'application/json', ...(authorization && { authorization }) }
    const { status, json } = await post(sim, CHAT, chatBody('hi'), headers)
    return [status, json]
  }
  t.equal((await as('Bearer good'))[0], 200)
  for (const wrong of [undefined, 'Bearer bad', 'Basic good', 'good', 'Bearer ', 'bearer good']) {
    t.match(await as(wrong), [401, { message: 'Unauthorized', request_id: /^[0-9a-f]{32}$/ }], String(wrong))
  }
  t.same(await as('Bearer empty'), [401, { detail: 'Unauthorized' }])
  t.equal((await post(sim, CHAT, '{bad', {})).status, 401, 'the key comes before the body')
  t.notMatch(JSON.stringify(sim.requests()), /good|empty/, 'no key is kept')
})

t.test('a body that is no JSON object gets a 422 that says where', async (t) => {
  const sim = await simFor(t)
  const problem = async (body: string, type = 'application/json'): Promise<unknown> => {
    const { status, json } = await post(sim, CHAT, body, { authorization: 'Bearer sim', 'content-type': type })
    t.equal(status, 422)
    return json.detail?.[0]
  }
  t.match(await problem('{"model":'), { type: 'json_invalid', loc: ['body', 9] })
  t.match(await problem(`{"model":"${'x'.repeat(100)}",oops}`), { type: 'json_invalid', loc: ['body', 112] })
  t.match(await problem('oops'), { type: 'json_invalid', loc: ['body', 0] })
  t.match(await problem('['.repeat(100_000) + ']'.repeat(100_000)), { type: 'json_invalid' })
  t.match(await problem(''), { type: 'missing', loc: ['body'] })
  t.match(await problem('{}', 'text/plain'), { type: 'model_attributes_type', loc: ['body'] })
  t.match(await problem('[]'), { type: 'model_attributes_type', loc: ['body'], input: [] })
  t.match(await problem('{"__proto__":{"a":1}}'), { type: 'missing', loc: ['body', 'messages'] })
})

t.test('a body over 32 MiB is refused', async (t) => {
  const sim = await simFor(t)
  const { status } = await post(sim, CHAT, 'x'.repeat(33 * 1024 * 1024)).catch(() => ({ status: 'closed' }))
  t.match(String(status), /413|closed/)
  t.equal((await post(sim, CHAT, chatBody('still here'))).status, 200)
})

t.test('schema errors name the branch of the role or type', async (t) => {
  const sim = await simFor(t)
  const first = async (body: object): Promise<unknown> => (await post(sim, CHAT, body)).json.detail?.[0]
  const said = (message: object): object => chatBody('', { messages: [message] })
  t.same(await first(said({ role: 'user', content: 'x', name: 'n' })), {
    type: 'extra_forbidden',
    loc: ['body', 'messages', 0, 'user', 'name'],
    msg: 'Extra inputs are not permitted',
    input: 'n'
  })
  t.match(await first(said({ role: 'tool' })),
    { type: 'missing', loc: ['body', 'messages', 0, 'tool', 'content'], input: { role: 'tool' } })
  t.match(await first(said({ content: 'x' })), { type: 'union_tag_not_found', loc: ['body', 'messages', 0] })
  t.match(await first(said({ role: 'dev', content: 'x' })), { type: 'union_tag_invalid', msg: /'system', 'user'/ })
  t.match(await first(said({ role: 'user', content: [{ type: 'text', text: 1 }] })),
    { type: 'string_type', loc: ['body', 'messages', 0, 'user', 'content', 0, 'text', 'text'] })
  t.match(await first(said([])), { type: 'model_attributes_type', loc: ['body', 'messages', 0] })
  t.match(await first(chatBody('', { tools: [{ type: 'function', function: { name: 'f' } }] })),
    { type: 'missing', loc: ['body', 'tools', 0, 'function', 'function', 'parameters'] })
  t.match(await first(chatBody('', { tools: [{ type: 'document_library', library_ids: [] }] })), { type: 'too_short' })
  const one: Array<[object, object]> = [
    [{ max_tokens: 'x' }, { type: 'int_parsing', loc: ['body', 'max_tokens'] }],
    [{ max_tokens: 1.5 }, { type: 'int_from_float' }],
    [{ max_tokens: true }, { type: 'int_type' }],
    [{ temperature: 'x' }, { type: 'float_parsing' }],
    [{ temperature: [] }, { type: 'float_type' }],
    [{ temperature: 2 }, { type: 'less_than_equal', msg: 'Input should be less than or equal to 1.5' }],
    [{ n: 0 }, { type: 'greater_than_equal' }],
    [{ top_p: 0 }, { type: 'greater_than' }],
    [{ stream: 'yes' }, { type: 'bool_parsing' }],
    [{ stream: null }, { type: 'bool_type' }],
    [{ stop: {} }, { type: 'string_type' }],
    [{ tools: 5 }, { type: 'list_type' }],
    [{ reasoning_effort: 'max' }, { type: 'enum', msg: /'none', .* or 'xhigh'/ }],
    [{ prompt_mode: 'x' }, { type: 'literal_error', msg: "Input should be 'reasoning'" }],
    [{ messages: [{ role: 'user', content: [{ type: 'file', file_id: 'x' }] }] }, { type: 'uuid_parsing' }],
    [{ 'a/b~c': 1 }, { type: 'extra_forbidden', loc: ['body', 'a/b~c'] }]
  ]
  for (const [more, problem] of one) t.match(await first(chatBody('', more)), problem, JSON.stringify(more))
  const many = await post(sim, CHAT, Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`k${index}`, 1])))
  t.equal(many.json.detail?.length, 50, 'the list of problems is bounded')
})

t.test('the form of the 422 can be chosen', async (t) => {
  const wrapped = await simFor(t, { problemShape: 'wrapped' })
  t.match((await post(wrapped, CHAT, {})).json, { object: 'error', message: { detail: [{ type: 'missing' }] } })
  const asText = await simFor(t, { problemShape: 'string' })
  const { json } = await post(asText, CHAT, {})
  t.match(json, { type: 'internal_error_proxy', code: '1000' })
  t.match(JSON.parse(json.message as unknown as string), { detail: [{ type: 'missing' }] })
})

t.test('models are unknown, unfit, retired or not in use', async (t) => {
  const sim = await simFor(t, { notInUse: ['ministral-3b-latest'] })
  const chat = async (model: string): Promise<unknown> => {
    const { status, json } = await post(sim, CHAT, chatBody('hi', { model }))
    return [status, json]
  }
  t.match(await chat('gpt-9'), [400, { message: 'Invalid model: gpt-9', type: 'invalid_model', code: '1500' }])
  t.match(await chat('mistral-embed'), [400, { code: '1500' }])
  t.match(await chat('open-mistral-nemo'), [404, { detail: 'Not Found' }])
  t.match(await chat('ministral-3b-latest'), [400, { code: '3003', message: /currently not in use/ }])
  t.match(await chat('mistral-large-2512'), [200, { model: 'mistral-large-2512' }])
  t.equal((await post(sim, '/v1/embeddings', { model: 'mistral-small-latest', input: 'a' })).json.code, '1500')
  const list = (await ask(sim, 'GET', '/v1/models')).json
  t.match(list, { object: 'list', data: [{ object: 'model', owned_by: 'mistralai', type: 'base' }] })
  t.match((await ask(sim, 'GET', '/v1/models/mistral-medium-2508')).json,
    { deprecation: '2026-08-31T00:00:00Z', deprecation_replacement_model: 'mistral-medium-3-5' })
})

t.test('the order and content of messages is checked', async (t) => {
  const sim = await simFor(t)
  const user = { role: 'user', content: 'q' }
  const bot = { role: 'assistant', content: 'a' }
  const calls = (...ids: Array<string | undefined>): object => ({
    role: 'assistant', content: '', tool_calls: ids.map((id) => ({ id, function: { name: 'f', arguments: '{}' } }))
  })
  const result = (id?: string): object => ({ role: 'tool', content: 'r', tool_call_id: id })
  const [a, b] = ['aaaaaaaaa', 'bbbbbbbbb']
  const refused: Array<[object[], RegExp, string | null]> = [
    [[], /at least one message/, null],
    [[user, bot], /Expected last role User or Tool .* got assistant/, '3230'],
    [[{ role: 'system', content: 's' }], /got system/, '3230'],
    [[bot, { role: 'system', content: 's' }, user], /Unexpected role 'system' after role 'assistant'/, '3230'],
    [[user, calls(a), result(a), user], /Unexpected role 'user' after role 'tool'/, '3230'],
    [[user, { role: 'tool', content: 'x' }], /Unexpected role 'tool' after role 'user'/, '3230'],
    [[{ ...bot, prefix: true }, user], /must be the last/, '3230'],
    [[user, calls(a, b), result(a)], /Not the same number of function calls and responses/, '3230'],
    [[user, calls(a), result(a), result(a)], /Not the same number/, '3230'],
    [[user, calls(a), user], /Not the same number/, '3230'],
    [[user, bot, result(a)], /Not the same number/, '3230'],
    [[user, calls(a), result(b)], /is not one of the calls/, '3280'],
    [[user, calls(a, a), result(a), result(a)], /Duplicate/, '3280'],
    [[user, calls('call_12345'), result('call_12345')], /Tool call id was call_12345 but must be/, '3280'],
    [[user, calls(a), result('short')], /Tool call id was short/, '3280'],
    [[{ role: 'assistant' }, user], /either content or tool_calls/, null],
    [[{ role: 'assistant', content: [] }, user], /either content or tool_calls/, null]
  ]
  for (const [messages, text, code] of refused) {
    const { status, json } = await post(sim, CHAT, chatBody('', { messages }))
    t.match([status, json.message, json.code], [400, text, code], JSON.stringify(messages))
  }
  const taken: object[][] = [
    [{ role: 'system', content: 's' }, user], [user, { role: 'system', content: 's' }, user], [user, user],
    [user, { ...bot, prefix: true }], [user, { role: 'assistant', content: '', prefix: true }], [bot, user],
    [user, calls(a, b), result(b), result(a)], [user, calls(undefined), result()],
    [user, calls(a), result(a), bot, user], [user, { role: 'assistant', content: [{ type: 'text', text: 'x' }] }, user]
  ]
  for (const messages of taken) {
    t.equal((await post(sim, CHAT, chatBody('', { messages }))).status, 200, JSON.stringify(messages))
  }
})

t.test('what a schema cannot say of tools and sampling is checked', async (t) => {
  const sim = await simFor(t, { windows: { 'mistral-small-2603': 100 } })
  const tool = (name: string): object => ({ type: 'function', function: { name, parameters: {} } })
  const refused: Array<[object, RegExp]> = [
    [{ tools: Array.from({ length: 129 }, (_, index) => tool(`f${index}`)) }, /Too many tools/],
    [{ tools: [tool('has space')] }, /Function name was has space/],
    [{ tools: [tool('f')], tool_choice: { function: { name: 'g' } } }, /not among the tools/],
    [{ temperature: 0, top_p: 0.5 }, /top_p must be 1 when using greedy sampling/],
    [{ n: 2, prediction: { content: 'x' } }, /n must be 1/],
    [{ n: 2, model: 'mistral-large-latest' }, /n must be 1/],
    [{ n: 1_000_000_000 }, /n must be at most 128/],
    [{ messages: [{ role: 'user', content: 'x'.repeat(400) }] }, /contains 104 tokens, too large for model with 100/],
    [{ max_tokens: 96 }, /too large/]
  ]
  for (const [more, text] of refused) {
    const { status, json } = await post(sim, CHAT, chatBody('hi', more))
    t.match([status, json.message], [400, text])
  }
  t.equal((await post(sim, CHAT, chatBody('hi', { temperature: 0, top_p: 1, max_tokens: 90 }))).status, 200)
})

t.test('guardrails block, note, or ignore', async (t) => {
  const sim = await simFor(t)
  const guarded = (text: string, v2: object): object => chatBody(text, { guardrails: [{ moderation_llm_v2: v2 }] })
  const blocked = await post(sim, CHAT, guarded('some jailbreaking', { action: 'block' }))
  t.match([blocked.status, blocked.json.error], [403, { message: 'Content blocked by guardrail', status: 403 }])
  const noted = await post(sim, CHAT, guarded('some jailbreaking', { action: 'none' }))
  t.match(noted.json.guardrails, [{ violated: true, categories: ['jailbreaking'] }])
  const streamed = await post(sim, CHAT, { ...guarded('a law', {}), stream: true })
  t.match(eventsIn(streamed.text).at(-2)?.guardrails, [{ violated: true }])
  const thresholds = { law: 0.5, pii: null }
  const ignored = { action: 'block', ignore_other_categories: true, custom_category_thresholds: thresholds }
  t.equal((await post(sim, CHAT, guarded('some jailbreaking pii', ignored))).status, 200)
  t.equal((await post(sim, CHAT, guarded('the law', ignored))).status, 403)
  t.equal((await post(sim, CHAT, chatBody('law', { guardrails: [{}] }))).json.guardrails?.[0]?.violated, true)
})
