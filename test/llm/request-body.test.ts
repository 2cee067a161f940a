import fc from 'fast-check'
import t from 'tap'
import { ApiError } from '../../src/errors.ts'
import { type BodyOptions, buildRequestBody } from '../../src/llm/mistral/request/request-body.ts'
import { type Dialect } from '../../src/llm/mistral/request/dialect.ts'
import { type GenerationRequest, type PromptMessage } from '../../src/llm/provider.ts'
import { startSim } from '../../src/mistral-sim/index.ts'
import { ask } from './mistral-upstream.ts'

interface WireMessage {
  role: string
  content: string
  name?: string
  tool_call_id?: string
  tool_calls?: Array<{ id: string, type: string, function: { name: string, arguments: string } }>
}

interface Body extends Record<string, unknown> { messages: WireMessage[] }

function build (request: Partial<GenerationRequest>, options: Partial<BodyOptions> = {}): Body {
  const body = { model: 'mistral-small-latest', stream: false, ...options }
  return JSON.parse(buildRequestBody({ ...ask('Hi'), ...request }, body)) as Body
}

const messagesOf = (messages: PromptMessage[], dialect: Dialect = 'mistral') =>
  build({ messages }, { dialect }).messages
const rolesOf = (messages: WireMessage[]) => messages.map(({ role }) => role).join(' ')

const user = (content: string): PromptMessage => ({ role: 'user', content })
const assistant = (content: string): PromptMessage => ({ role: 'assistant', content })
const system = (content: string): PromptMessage => ({ role: 'system', content })
const calls = (...ids: string[]): PromptMessage => ({
  role: 'assistant', content: '', toolCalls: ids.map((id) => ({ id, name: 'weather', arguments: '{"city":"Bern"}' }))
})
const result = (toolCallId: string, content = `result of ${toolCallId}`): PromptMessage =>
  ({ role: 'tool', content, toolCallId, name: 'weather' })

t.test('each dialect has its own keys and no others', (t) => {
  const model = { temperature: 0.5, maxTokens: 100 }
  const common = { model: 'm', messages: [{ role: 'user', content: 'Hi' }], temperature: 0.5, max_tokens: 100 }
  for (const stream of [true, false]) {
    const { prompt_cache_key: key, ...mistral } = build({ model }, { model: 'm', stream })
    t.strictSame(mistral, { ...common, stream })
    t.match(key, /^[\w-]{43}$/)
    const options = stream ? { stream_options: { include_usage: true } } : {}
    t.strictSame(build({ model }, { model: 'm', stream, dialect: 'openai' }), { ...common, stream, ...options })
  }
  const keys = Object.keys(build({}, { dialect: 'openai' }))
  t.strictSame(keys, ['model', 'messages', 'stream'], 'what is not set is not sent')
  t.end()
})

t.test('the cache key is the session\'s and does not tell the session', (t) => {
  const keyOf = (sessionId: string) => build({ sessionId }).prompt_cache_key as string
  t.equal(keyOf('session-1'), keyOf('session-1'))
  t.not(keyOf('session-1'), keyOf('session-2'))
  t.notMatch(keyOf('session-1'), 'session-1')
  t.end()
})

t.test('system text is one first message, and empty replies are left out', (t) => {
  const scattered = [
    system('A'), user('Hi'), assistant(' \n'), system(' '), assistant('Hello'), system('B'), user('Bye')
  ]
  t.strictSame(messagesOf(scattered), [
    { role: 'system', content: 'A\n\nB' },
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: 'Bye' }
  ])
  t.equal(rolesOf(messagesOf([user('Hi'), calls(), user('Hi')])), 'user user')
  t.end()
})

t.test('every call has exactly one result behind it', (t) => {
  const shapeOf = ({ role, content, tool_calls: made, tool_call_id: id }: WireMessage) =>
    made?.map((call) => call.id).join('+') ?? (id === undefined ? role : `${id}=${content}`)
  const cases: Array<[string, PromptMessage[], Array<string | RegExp>]> = [
    ['in the order of the calls', [calls('a', 'b'), result('b', 'B'), result('a', 'A')], ['a+b', 'a=A', 'b=B']],
    ['a second result is dropped', [calls('a'), result('a', '1'), result('a', '2')], ['a', 'a=1']],
    ['orphans are dropped', [result('x'), calls('a'), result('y'), result('a', 'A')], ['a', 'a=A']],
    ['a second call of one id is dropped', [calls('a', 'a'), result('a', 'A')], ['a', 'a=A']],
    ['an id may come again', [calls('a'), result('a', '1'), calls('a'), result('a', '2')], ['a', 'a=1', 'a', 'a=2']],
    ['a result serves one call', [calls('a'), calls('a'), result('a', '2')], ['a', /no result/, 'a', 'a=2']],
    ['results come late', [calls('a'), calls('b'), result('a', 'A'), result('b', 'B')], ['a', 'a=A', 'b', 'b=B']],
    ['a missing one is told', [calls('a', 'b'), result('a', 'A')], ['a+b', 'a=A', /^b=.*no result/]],
    ['the assistant stands between', [calls('a'), user('!')], ['a', /no result/, 'assistant', 'user']]
  ]
  for (const [name, messages, expected] of cases) {
    const shape = messagesOf([user('?'), ...messages], 'openai').map(shapeOf)
    t.match(shape, ['user', ...expected], name)
    t.equal(shape.length, expected.length + 1, name)
  }
  t.end()
})

t.test('a prompt that ends with the assistant is refused here', (t) => {
  const answered = [user('Hi'), assistant('Hello')]
  for (const messages of [[], [system('A')], answered, [...answered, result('orphan')]]) {
    for (const dialect of ['mistral', 'openai'] as const) {
      t.throws(() => messagesOf(messages, dialect), { code: 'upstream_rejected' })
    }
  }
  t.end()
})

t.test('a call is sent with the keys of the dialect', (t) => {
  const messages = [user('?'), calls('123456789'), result('123456789', 'Sunny.')]
  const call = { id: '123456789', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } }
  const answer = { role: 'tool', content: 'Sunny.', tool_call_id: '123456789' }
  const asked = [{ role: 'user', content: '?' }, { role: 'assistant', content: '', tool_calls: [call] }]
  t.strictSame(messagesOf(messages), [...asked, { ...answer, name: 'weather' }])
  t.strictSame(messagesOf(messages, 'openai'), [...asked, answer])
  t.end()
})

t.test('ids of calls become nine characters, the same on call and result', (t) => {
  const idsOf = (ids: string[], dialect: Dialect = 'mistral') => {
    const [, call, ...results] = messagesOf([user('?'), calls(...ids), ...ids.map((id) => result(id))], dialect)
    const made = call?.tool_calls?.map(({ id }) => id) ?? []
    t.strictSame(results.map((message) => message.tool_call_id), made)
    return made
  }
  const strange = ['chatcmpl-tool-9f14a0b2', 'call_1', 'call_2', '', 'gSIMJiOk!', 'gSIMJiOkTx', '天気']
  const made = idsOf(['gSIMJiOkT', ...strange])
  t.equal(made[0], 'gSIMJiOkT', 'an id that fits is kept')
  t.ok(made.every((id) => /^[a-zA-Z0-9]{9}$/.test(id)), made.join(' '))
  t.equal(new Set(made).size, made.length, 'different ids stay different')
  t.strictSame(idsOf([...strange].reverse()), made.slice(1).reverse(), 'the same in every prompt')
  const [taken] = idsOf(['call_1'])
  const [kept, other] = idsOf([taken!, 'call_1'])
  t.equal(kept, taken)
  t.not(other, taken, 'not even where the digest is an id of the prompt')
  t.strictSame(idsOf(strange, 'openai'), strange, 'other servers get them as they are')
  t.end()
})

t.test('for templates that insist on it, user and assistant take turns', (t) => {
  const prompt = [
    system('S'), assistant('Welcome'), user('A'), user('B'),
    assistant('C'), assistant('D'), calls('x'), result('x'), user('E')
  ]
  t.match(messagesOf(prompt, 'openai'), [
    { role: 'system', content: 'S' },
    { role: 'user', content: 'A\n\nB' },
    { role: 'assistant', content: 'C\n\nD', tool_calls: [{ id: 'x' }] },
    { role: 'tool' },
    { role: 'assistant', content: String },
    { role: 'user', content: 'E' }
  ])
  t.equal(rolesOf(messagesOf(prompt)), 'system assistant user user assistant assistant assistant tool assistant user')
  t.equal(rolesOf(messagesOf([calls('x'), result('x')], 'openai')), 'assistant tool', 'a round without a user is kept')
  t.end()
})

const contents = fc.oneof(fc.constantFrom('', ' ', 'text'), fc.string())
const ids = fc.constantFrom('a', 'b', 'abcdefghi', 'call_4711', '天')
const anyMessage: fc.Arbitrary<PromptMessage> = fc.oneof(
  contents.map(system),
  contents.map(user),
  contents.map(assistant),
  fc.tuple(contents, fc.array(ids, { maxLength: 3 })).map(([content, made]) => ({ ...calls(...made), content })),
  fc.tuple(ids, contents).map(([id, content]) => result(id, content))
)
const anyPrompt = fc.array(anyMessage, { maxLength: 12 })

t.test('the API accepts what is made of any sequence of messages, and every text of the user is in it', async (t) => {
  const sim = await startSim({ strict: true })
  t.teardown(async () => await sim.close())
  let refused = 0
  await fc.assert(fc.asyncProperty(anyPrompt, fc.boolean(), async (prompt, asks) => {
    const messages = asks ? [...prompt, user('Last question')] : prompt
    let body
    try {
      body = buildRequestBody({ ...ask(''), messages }, { model: 'mistral-small-latest', stream: false })
    } catch (error) {
      refused++
      return !asks && error instanceof ApiError && error.code === 'upstream_rejected'
    }
    const headers = { authorization: 'Bearer key', 'content-type': 'application/json' }
    const response = await fetch(`${sim.url}/v1/chat/completions`, { method: 'POST', headers, body })
    await response.arrayBuffer()
    const sent = (JSON.parse(body) as Body).messages.filter(({ role }) => role === 'user').map(({ content }) => content)
    const asked = messages.filter(({ role }) => role === 'user').map(({ content }) => content)
    return response.status === 200 && JSON.stringify(sent) === JSON.stringify(asked)
  }), { numRuns: 200 })
  t.ok(refused < 150, `${refused} of 200 were refused here`)
})

t.test('in the other dialect any sequence takes turns, and every text of the user is in it', async (t) => {
  const text = (messages: Array<{ role: string, content: string }>) =>
    messages.filter(({ role, content }) => role === 'user' && content !== '').map(({ content }) => content).join('\n\n')
  fc.assert(fc.property(anyPrompt, (prompt) => {
    const messages = [user('First'), ...prompt, user('Last')]
    const sent = messagesOf(messages, 'openai')
    const turns = sent.filter(({ role, tool_calls: made }) => role === 'user' || (role === 'assistant' && !made))
    t.ok(turns.every(({ role }, index) => role === (index % 2 === 0 ? 'user' : 'assistant')), rolesOf(sent))
    return text(sent) === text(messages)
  }), { numRuns: 200 })
})
