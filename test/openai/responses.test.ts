import OpenAI from 'openai'
import { type ResponseStreamEvent } from 'openai/resources/responses/responses'
import t, { type Test } from 'tap'
import { nobody } from '../edge.ts'
import { startApp } from '../helper.ts'
import { startAppWithSim, promptOf } from '../sim.ts'

const { app, client, sim, adminKey, clientFor, db } = await startAppWithSim(t)
// Another replica.
const elsewhere = await startApp(t, { MONGODB_DATABASE: db.databaseName, BOOTSTRAP_API_KEY: adminKey })
const openai = new OpenAI({ apiKey: adminKey, baseURL: `${client.url}/v1`, maxRetries: 0 })
const model = await client.createConfig({ name: 'Shop', historyLimit: 10 })

const messagesOf = async (id: string) => (await client.ask<{ data: Array<{ role: string, content: string }> }>(`/api/sessions/${id.slice(5, 29)}/messages`)).body.data
const lastPrompt = () => promptOf(sim, sim.requests().length - 1).map(({ role, content }) => `${role}: ${content.replace(/^You are.*\n\n(?=[^\n]*$)/s, '')}`)

function isWhole (t: Test, events: ResponseStreamEvent[], end = 'response.completed'): void {
  t.strictSame(events.map(({ sequence_number: number }) => number), events.map((_, i) => i), 'numbered without a gap')
  const types = events.map(({ type }) => type)
  t.strictSame(types.filter((type) => type !== 'response.output_text.delta'), [
    'response.created', 'response.in_progress', 'response.output_item.added', 'response.content_part.added', 'response.output_text.done',
    'response.content_part.done', 'response.output_item.done', end
  ])
}

const textOf = (events: ResponseStreamEvent[]) => events.map((event) => event.type === 'response.output_text.delta' ? event.delta : '').join('')

t.test('a response is a turn of a session, read again by its id', async (t) => {
  const made = await openai.responses.create({
    model: 'Shop', input: 'Where is my parcel?', instructions: 'Be brief.', temperature: 0.3, max_output_tokens: 500, metadata: { order: '17' }, user: 'ann'
  })
  t.match(made, {
    id: /^resp_[0-9a-f]{48}$/,
    object: 'response',
    status: 'completed',
    model: 'Shop',
    output_text: /^sim:.*Where is my parcel\?$/,
    instructions: 'Be brief.',
    temperature: 0.3,
    max_output_tokens: 500,
    metadata: { order: '17' },
    store: true,
    error: null,
    usage: { input_tokens: Number, output_tokens: Number, total_tokens: Number }
  })
  t.match(lastPrompt(), [/Be brief\./, /user: Where is my parcel\?/])
  t.match(sim.requests().at(-1)?.json, { temperature: 0.3, max_tokens: 500 })
  t.strictSame({ ...await openai.responses.retrieve(made.id) }, { ...made })
  t.match(await messagesOf(made.id), [{ role: 'user', content: 'Where is my parcel?' }, { role: 'bot', content: made.output_text }])
  t.match((await client.ask(`/api/sessions/${made.id.slice(5, 29)}`)).body, { userId: 'ann', configId: model })
  const items = await openai.responses.inputItems.list(made.id)
  t.match(items.data, [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Where is my parcel?' }] }])
})

t.test('what was said before is whole, though the first attempt broke off while it was put in', async (t) => {
  const headers = { 'idempotency-key': 'broken-off' }
  const input = [{ role: 'user', content: 'One' }, { role: 'assistant', content: 'Uno' }, { role: 'user', content: 'Two' }] as const
  const wish = { model, input: [...input] }
  const { restore } = t.intercept(app.store.transfers, 'insertMessages', { value: async () => { throw new Error('broken off') } })
  await t.rejects(openai.responses.create(wish, { headers, maxRetries: 0 }), { message: /^500 / })
  restore()
  const { id } = await openai.responses.create(wish, { headers })
  t.strictSame((await messagesOf(id)).map(({ role, content }) => `${role}: ${content.replace(/^sim:\S+ /, '')}`), ['user: One', 'bot: Uno', 'user: Two', 'bot: Two'])
})

t.test('a library that asks again after its connection was cut gets the response that is there', async (t) => {
  let cuts = 0
  /** The answer to every first request is lost on its way. */
  const cutting: typeof fetch = async (url, init) => {
    const answered = await fetch(url, init)
    if (cuts++ % 2 === 1) return answered
    await answered.text()
    return new Response('{}', { status: 502, headers: { 'retry-after-ms': '1' } })
  }
  const patient = new OpenAI({ apiKey: adminKey, baseURL: `${client.url}/v1`, maxRetries: 1, fetch: cutting })
  const key = (name: string) => ({ headers: { 'idempotency-key': name } })
  const asked = sim.requests().length
  const input = [{ role: 'user', content: 'One' }, { role: 'assistant', content: 'Uno' }, { role: 'user', content: 'Two' }] as const
  const first = await patient.responses.create({ model, input: [...input] }, key('a'))
  const next = await patient.responses.create({ model, input: 'Three', previous_response_id: first.id }, key('b'))
  t.equal(cuts, 4)
  t.equal(sim.requests().length - asked, 2, 'each is a turn once')
  t.strictSame((await messagesOf(next.id)).map(({ role, content }) => `${role}: ${content.replace(/^sim:\S+ /, '')}`), [
    'user: One', 'bot: Uno', 'user: Two', 'bot: Two', 'user: Three', 'bot: Three'
  ])
  t.strictSame(await openai.responses.create({ model, input: [...input] }, key('a')), first)
  const events = await Array.fromAsync(await openai.responses.create({ model, input: 'Four', previous_response_id: next.id, stream: true }, key('c')))
  t.strictSame(await Array.fromAsync(await openai.responses.create({ model, input: 'Four', previous_response_id: next.id, stream: true }, key('c'))), events)
  await t.rejects(openai.responses.create({ model, input: 'Something else' }, key('a')), { status: 422, code: 'idempotency_conflict' })
})

t.test('it goes on from the last response, and from an older one on a branch', async (t) => {
  const first = await openai.responses.create({
    model, input: [{ role: 'system', content: 'Speak plainly.' }, { role: 'user', content: 'One' }, { role: 'assistant', content: 'Uno' }, { role: 'user', content: 'Two' }]
  })
  t.match(lastPrompt(), [/Speak plainly\./, 'user: One', 'assistant: Uno', 'user: Two'])
  const second = await openai.responses.create({ model, input: 'Three', previous_response_id: first.id })
  t.match(lastPrompt(), [/Speak plainly\./, 'user: One', 'assistant: Uno', 'user: Two', `assistant: ${first.output_text}`, 'user: Three'])
  t.equal(second.previous_response_id, first.id)
  t.equal(second.id.slice(0, 29), first.id.slice(0, 29), 'in the same session')
  const [one, other] = await Promise.all(['Four', 'Five'].map(async (input) => await openai.responses.create({ model, input, previous_response_id: first.id })))
  t.notOk(lastPrompt().includes('user: Three'), 'what was said on the other branch is not in it')
  t.match(one!.output_text, /Four$/)
  t.match(other!.output_text, /Five$/)
  const { body } = await client.ask<{ data: unknown[] }>(`/api/sessions/${first.id.slice(5, 29)}/branches`)
  t.equal(body.data.length, 3)
  const { data } = await openai.responses.inputItems.list(first.id, { order: 'asc' })
  t.match(data, [{ role: 'system' }, { role: 'user' }, { role: 'assistant' }, { role: 'user' }])
  const rest = await openai.responses.inputItems.list(first.id, { order: 'asc', after: data[1]!.id, limit: 1 })
  t.match(rest, { data: [{ role: 'assistant' }], has_more: true })

  const unstored = await openai.responses.create({ model, input: 'Six', previous_response_id: first.id, store: false })
  t.match(lastPrompt().slice(1), ['user: One', 'assistant: Uno', 'user: Two', `assistant: ${first.output_text}`, 'user: Six'])
  t.match(unstored, { store: false, status: 'completed', id: /^resp_[0-9a-f]{24}$/ })
  await t.rejects(openai.responses.retrieve(unstored.id), { status: 404, code: 'response_not_found' })
})

t.test('its events are the same live and later, from any of them on', async (t) => {
  const input = 'Tell me about the orders, 包裹什么时候到呢包裹什么时候到呢 and 😀😀😀😀😀😀😀😀😀😀 too.'
  const live: ResponseStreamEvent[] = await Array.fromAsync(await openai.responses.create({ model, input, stream: true }))
  isWhole(t, live)
  const { id, output_text: text } = await openai.responses.retrieve((live[0] as { response: { id: string } }).response.id)
  t.equal(textOf(live), text)
  const later = await Array.fromAsync(await openai.responses.retrieve(id, { stream: true }))
  t.strictSame(later, live)
  for (const after of [0, 2, 6, live.length - 2]) {
    const rest = await Array.fromAsync(await openai.responses.retrieve(id, { stream: true, starting_after: after }))
    t.strictSame(rest, live.slice(after + 1), `from ${after}`)
  }
  t.strictSame(await Array.fromAsync(await openai.responses.retrieve(id, { stream: true, starting_after: live.length - 1 })), [])
  t.match(await Array.fromAsync(await openai.responses.retrieve(id, { stream: true, starting_after: 9000 })),
    [{ type: 'response.completed', sequence_number: 9001 }], 'more was told than was stored: the end comes all the same')
  const helped = openai.responses.stream({ response_id: id, starting_after: 5 })
  t.equal((await helped.finalResponse()).output_text, text)
  const unstored: ResponseStreamEvent[] = await Array.fromAsync(await openai.responses.create({ model, input, stream: true, store: false }))
  isWhole(t, unstored)
  t.equal(textOf(unstored), text)
})

t.test('one in the background is followed from elsewhere, and cancelled', async (t) => {
  sim.script([{ cadence: { tokensPerChunk: 1 }, fault: { hangAfter: { chunks: 4 } } }])
  const made = await openai.responses.create({ model, input: 'A long story', background: true })
  t.match(made, { status: 'in_progress', background: true, output: [], usage: null })
  const stream = await openai.withOptions({ baseURL: `${elsewhere.client.url}/v1` }).responses.retrieve(made.id, { stream: true })
  const seen: ResponseStreamEvent[] = []
  for await (const event of stream) {
    seen.push(event)
    if (event.type === 'response.output_text.delta' && seen.length < 6) t.match(await openai.responses.cancel(made.id), { status: 'cancelled', id: made.id })
  }
  isWhole(t, seen, 'response.incomplete')
  t.match(seen.at(-1), { response: { status: 'cancelled', output: [{ content: [{ text: textOf(seen) }] }] } })
  t.strictSame(await Array.fromAsync(await openai.responses.retrieve(made.id, { stream: true })), seen)
  t.match(await openai.responses.cancel(made.id), { status: 'cancelled' }, 'once more')
})

t.test('one that the model cuts off is incomplete, and one that it fails with has failed', async (t) => {
  const short = await openai.responses.create({ model, input: 'A long story about parcels that never ends', max_output_tokens: 2 })
  t.match(short, { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, output: [{ status: 'incomplete' }] })
  sim.script([{ fault: { status: { code: 400 } } }])
  await t.rejects(openai.responses.create({ model, input: 'Fail' }), { status: 502, type: 'server_error', code: 'upstream_rejected' })
  sim.script([{ fault: { status: { code: 400 } } }])
  const events = await Array.fromAsync(await openai.responses.create({ model, input: 'Fail', stream: true }))
  t.match(events.at(-1), { type: 'response.failed', sequence_number: 2, response: { status: 'failed', error: { code: 'server_error' }, output: [] } })
  sim.script([{ fault: { status: { code: 400 } } }])
  await t.rejects(openai.responses.create({ model, input: 'Fail', store: false }), { status: 502, code: 'upstream_rejected' })
})

t.test('what is deleted is gone, with what it was given to', async (t) => {
  const alone = await openai.responses.create({ model, input: [{ role: 'user', content: 'a' }, { role: 'user', content: [{ type: 'input_text', text: 'Alone' }] }] })
  await openai.responses.delete(alone.id)
  await t.rejects(openai.responses.retrieve(alone.id), { status: 404, code: 'response_not_found' })
  t.equal((await client.ask(`/api/sessions/${alone.id.slice(5, 29)}`)).status, 404)
  const first = await openai.responses.create({ model, input: 'Forget this' })
  const second = await openai.responses.create({ model, input: 'Keep this', previous_response_id: first.id })
  await openai.responses.delete(first.id)
  t.equal((await openai.responses.retrieve(second.id)).output_text, second.output_text)
  await t.rejects(openai.responses.create({ model, input: 'x', previous_response_id: first.id }), { status: 400, code: 'previous_response_not_found' })
  await t.rejects(openai.responses.create({ model: 'Nobody', input: 'x' }), { status: 404, code: 'model_not_found' })
  await client.ask(`/api/sessions/${first.id.slice(5, 29)}/messages/${second.id.slice(29)}`, { method: 'DELETE' })
  await t.rejects(openai.responses.retrieve(second.id), { status: 404, code: 'response_not_found' }, 'whoever has deleted it')
})

t.test('what it cannot do it says', async (t) => {
  const other = await client.createConfig()
  const made = await openai.responses.create({ model, input: 'Hello' })
  const { body: { botMessage } } = await client.ask<{ botMessage: { id: string } }>(`/api/sessions/${await client.createSession(model)}/messages`, { body: { message: 'Hello' } })
  const cases: Array<[object, string, string?]> = [
    [{ input: [] }, 'input'],
    [{ input: 7 }, 'input'],
    [{ input: ' ' }, 'input'],
    [{ input: 'x'.repeat(5001) }, 'input', 'string_above_max_length'],
    [{ input: 'a\0b' }, 'input'],
    [{ input: 'x', instructions: '\0' }, 'instructions'],
    [{ input: [{ type: 'function_call_output', call_id: 'a', output: 'b' }] }, 'input[0]', 'unsupported_item'],
    [{ input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'a' }] }] }, 'input[0].content[0]', 'unsupported_content'],
    [{ input: [{ role: 'user', content: 7 }] }, 'input[0].content'],
    [{ input: [{ role: 'user', content: null }] }, 'input'],
    [{ input: [{ role: 'assistant', content: 'x' }] }, 'input'],
    [{ input: [{ role: 'tool', content: 'x' }] }, 'input[0].role', 'unsupported_role'],
    [{ input: 'x', tools: [{ type: 'web_search' }] }, 'tools', 'unsupported_parameter'],
    [{ input: 'x', conversation: 'conv_1' }, 'conversation', 'unsupported_parameter'],
    [{ input: 'x', background: true, store: false }, 'background'],
    [{ input: 'x', text: { format: { type: 'grammar' } } }, 'text.format.type', 'unsupported_parameter'],
    [{ input: 'x', previous_response_id: `resp_${nobody}${nobody}` }, 'previous_response_id', 'previous_response_not_found'],
    [{ input: 'x', previous_response_id: 'resp_x' }, 'previous_response_id', 'previous_response_not_found'],
    [{ input: 'x', previous_response_id: `resp_${botMessage.id}${botMessage.id}` }, 'previous_response_id', 'previous_response_not_found'],
    [{ input: [{ role: 'assistant', content: 'y' }, { role: 'user', content: 'x' }], previous_response_id: made.id }, 'input', 'unsupported_item'],
    [{ input: 'x', previous_response_id: made.id, model: other }, 'model']
  ]
  for (const [members, param, code] of cases) {
    await t.rejects(openai.responses.create({ model, ...members } as never), { status: 400, type: 'invalid_request_error', param, code: code ?? 'validation_failed' }, JSON.stringify(members).slice(0, 80))
  }
  const format = { type: 'json_schema', name: 'parcel', schema: { type: 'object', properties: { where: { type: 'string' } } } } as const
  const json = await openai.responses.create({ model, input: 'As JSON', text: { format } })
  t.strictSame((await openai.responses.retrieve(json.id)).text, { format })
  t.match(sim.requests().at(-1)?.json, { response_format: { type: 'json_schema', json_schema: { name: 'parcel' } } })

  const theirs = await clientFor('another', 'admin')
  for (const [method, path] of [['GET', ''], ['GET', '/input_items'], ['GET', '?stream=true'], ['POST', '/cancel'], ['DELETE', '']] as const) {
    t.match(await theirs.ask(`/v1/responses/${made.id}${path}`, { method }), { status: 404, body: { error: { code: 'response_not_found' } } }, `${method} ${path}`)
  }
  const reader = await clientFor('default', 'chat')
  t.match(await reader.ask('/v1/responses', { body: { model, input: 'x' } }), { status: 403, body: { error: { code: 'forbidden' } } })
})
