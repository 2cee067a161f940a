import OpenAI from 'openai'
import t, { type Test } from 'tap'
import { bearer, JWT_SECRET, nobody } from '../edge.ts'
import { type Client } from '../helper.ts'
import { promptOf, startAppWithSim } from '../sim.ts'

const { app, client, sim, adminKey, db, clientFor } = await startAppWithSim(t, {}, { JWT_SECRET })
const baseURL = `${client.url}/v1`
const openai = new OpenAI({ apiKey: adminKey, baseURL, maxRetries: 0 })
const model = await client.createConfig({ name: 'Shop', instructions: 'Orders ship on Mondays.', model: { maxTokens: 100 } })
const user = (content: string) => ({ role: 'user', content }) as const
const lastPrompt = () => promptOf(sim, sim.requests().length - 1)
const lastBody = () => sim.requests().at(-1)?.json
const stored = async () => await db.collection('messages').countDocuments()

const isA = async (t: Test, asked: Promise<unknown>, kind: new (...args: never[]) => Error) =>
  t.ok(await asked.then(() => undefined, (error: unknown) => error) instanceof kind, kind.name)

t.test('a conversation goes on, whole or as it is written, and nothing of it is stored', async (t) => {
  const before = await stored()
  const whole = await openai.chat.completions.create({
    model,
    messages: [
      { role: 'developer', content: 'Be brief.' }, user('One'), { role: 'assistant', content: 'Uno' },
      { role: 'user', content: [{ type: 'text', text: 'Hello' }, { type: 'text', text: 'there' }] }
    ],
    temperature: 0.2,
    top_p: 0.5,
    max_tokens: 7000,
    stop: 'END',
    seed: 5,
    presence_penalty: 0.1,
    frequency_penalty: 0.2,
    n: 1,
    tools: [],
    logit_bias: {},
    store: true
  })
  t.match(whole, {
    id: /^chatcmpl-/,
    object: 'chat.completion',
    model,
    system_fingerprint: 'mistral-small-latest',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: /^sim:.*Hello\nthere$/s } }],
    usage: { prompt_tokens: Number, completion_tokens: Number, total_tokens: Number }
  })
  t.match(lastPrompt(), [{ role: 'system', content: /Orders ship on Mondays\..*Be brief\./s }, user('One'), { role: 'assistant', content: 'Uno' }, user('Hello\nthere')])
  t.match(lastBody(), { temperature: 0.2, top_p: 0.5, max_tokens: 100, stop: ['END'], random_seed: 5, presence_penalty: 0.1, frequency_penalty: 0.2 },
    'and no longer than the configuration says')
  const stream = await openai.chat.completions.create({ model: 'Shop', stream: true, stream_options: { include_usage: true }, messages: [user('Hello there')] })
  const chunks = await Array.fromAsync(stream)
  t.match(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), /^sim:.*Hello there$/)
  t.match(chunks.at(-2), { choices: [{ finish_reason: 'stop' }] })
  t.match(chunks.at(-1), { choices: [], usage: { total_tokens: Number } })
  t.notOk((await Array.fromAsync(await openai.chat.completions.create({ model, stream: true, messages: [user('x')] }))).some(({ usage }) => usage))
  const cut = await openai.chat.completions.create({ model, max_completion_tokens: 2, messages: [user('A long story about parcels')] })
  t.equal(cut.choices[0]?.finish_reason, 'length')
  t.equal(await stored(), before)
  await app.usageLedger.flush()
  t.match(await db.collection('usageEvents').findOne({ messages: 1 }), { purpose: 'reply', model: 'mistral-small-latest', outcome: 'completed' })
})

t.test('in a session, the last message of the user is a message like any other', async (t) => {
  const session = await client.createSession(model)
  const send = async (content: string, more: object = {}, headers: Record<string, string> = {}) => await openai.chat.completions.create(
    { model: 'Shop', messages: [{ role: 'system', content: 'Rhyme.' }, user('never said'), user(content)], ...more }, { headers: { 'x-session-id': session, ...headers } }
  )
  const first = await send('One', { temperature: 0.1 })
  t.match(lastPrompt(), [{ role: 'system', content: /Rhyme\./ }, user('One')])
  t.match(lastBody(), { temperature: 0.1, max_tokens: 100 })
  const again = { 'idempotency-key': 'two' }
  const [second, repeated] = [await send('Two', {}, again), await send('Two', {}, again)]
  t.strictSame(repeated, second)
  await t.rejects(send('Not two', {}, again), { status: 422, code: 'idempotency_conflict' })
  const chunks = await Array.fromAsync(await openai.chat.completions.create({ model, stream: true, messages: [user('Three')] }, { headers: { 'x-session-id': session } }))
  t.match(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join(''), /Three$/)
  const { body } = await client.ask<{ data: Array<{ id: string, content: string }> }>(`/api/sessions/${session}/messages`)
  t.strictSame(body.data.map(({ content }) => content.replace(/^sim:\S+ /, '')), ['One', 'One', 'Two', 'Two', 'Three', 'Three'])
  t.equal(first.id, `chatcmpl-${body.data[1]!.id}`)

  const other = await client.createSession(await client.createConfig())
  const refused = async (headers: Record<string, string>, messages: object[], wanted: { status: number, code: string }) => await t.rejects(
    openai.chat.completions.create({ model, messages: messages as never }, { headers }), wanted, JSON.stringify([headers, messages]).slice(0, 90))
  await refused({ 'x-session-id': other }, [user('x')], { status: 404, code: 'not_found' })
  await refused({ 'x-session-id': nobody }, [user('x')], { status: 404, code: 'not_found' })
  await refused({ 'x-session-id': 'x' }, [user('x')], { status: 400, code: 'validation_failed' })
  await refused({ 'x-session-id': session }, [user(' ')], { status: 400, code: 'validation_failed' })
  sim.script([{ fault: { status: { code: 400 } } }])
  await refused({ 'x-session-id': session }, [user('x')], { status: 502, code: 'upstream_rejected' })
  for (const stream of [true, false]) {
    sim.script([{ fault: { status: { code: 400 } } }])
    await t.rejects(openai.chat.completions.create({ model, stream, messages: [user('x')] }, { headers: { 'x-session-id': session } }), { status: 502, code: 'upstream_rejected' })
  }
})

t.test('a failure before the first word is a status, one after it an event', async (t) => {
  sim.script([{ fault: { status: { code: 400 } } }])
  await t.rejects(openai.chat.completions.create({ model, stream: true, messages: [user('x')] }), { status: 502, type: 'server_error', code: 'upstream_rejected' })
  for (const headers of [{}, { 'x-session-id': await client.createSession(model) }]) {
    sim.script([{ fault: { errorChunk: { form: 'openai', chunks: 2 } } }])
    const stream = await openai.chat.completions.create({ model, stream: true, messages: [user('A long story')] }, { headers })
    await t.rejects(Array.fromAsync(stream), { type: 'server_error', code: 'upstream_failed' })
  }
})

t.test('who leaves is not written for any longer', async (t) => {
  for (const stream of [true, false]) {
    sim.script([{ fault: stream ? { hangAfter: { chunks: 3 } } : { hang: true } }])
    const controller = new AbortController()
    const asked = openai.chat.completions.create({ model, stream, messages: [user('A long story')] }, { signal: controller.signal })
    if (stream) {
      const reading = (await asked as AsyncIterable<unknown>)[Symbol.asyncIterator]()
      await reading.next()
    } else {
      const { length } = sim.requests()
      while (sim.requests().length === length) await new Promise(setImmediate)
    }
    controller.abort()
    if (!stream) await t.rejects(asked)
    await sim.idle()
  }
  t.pass('the model was told')
})

t.test('errors are those of OpenAI, whatever goes wrong', async (t) => {
  const create = async (members: object, client = openai) => await client.chat.completions.create({ model, messages: [user('x')], ...members } as never)
  const wrong = new OpenAI({ apiKey: 'pk_wrong', baseURL, maxRetries: 0 })
  await isA(t, create({}, wrong), OpenAI.AuthenticationError)
  await t.rejects(create({}, wrong), { status: 401, type: 'invalid_request_error', code: 'invalid_api_key', param: null })
  await isA(t, create({ model: 'nobody' }), OpenAI.NotFoundError)
  await t.rejects(create({ model: nobody }), { status: 404, code: 'model_not_found', param: 'model' })
  const reader = await clientFor('default', 'configs:read')
  t.match(await reader.ask('/v1/chat/completions', { body: { model, messages: [user('x')] } }), { status: 403, body: { error: { type: 'invalid_request_error', code: 'forbidden' } } })
  const cases: Array<[object, string, string]> = [
    [{ messages: [] }, 'messages', 'validation_failed'],
    [{ messages: [{ content: 'x' }] }, 'messages[0].role', 'validation_failed'],
    [{ temperature: 3 }, 'temperature', 'validation_failed'],
    [{ messages: [user('x'), { role: 'assistant', content: 'y' }] }, 'messages', 'validation_failed'],
    [{ messages: [{ role: 'tool', content: 'y' }] }, 'messages[0].role', 'unsupported_role'],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'messages[0].content[0]', 'unsupported_content'],
    [{ n: 2 }, 'n', 'unsupported_parameter'],
    [{ stop: 7 }, 'stop', 'validation_failed'],
    [{ tools: [{ type: 'function' }] }, 'tools', 'unsupported_parameter'],
    [{ response_format: { type: 'grammar' } }, 'response_format.type', 'unsupported_parameter'],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema', 'validation_failed']
  ]
  for (const [members, param, code] of cases) await t.rejects(create(members), { status: 400, type: 'invalid_request_error', param, code }, JSON.stringify(members))
  const isTold = async (path: string, options: Parameters<Client['ask']>[1], status: number, code: string) =>
    t.match(await client.ask(path, options), { status, body: { error: { message: String, type: 'invalid_request_error', param: null, code } } }, path)
  await isTold('/v1/chat/completions', { body: '{' }, 400, 'malformed_json')
  await isTold('/v1/chat/completions', { method: 'GET' }, 405, 'method_not_allowed')
  await isTold('/v1/chat/completions', { body: `"${'x'.repeat(300_000)}"` }, 413, 'payload_too_large')
  await isTold('/v1/chat/completions', { body: 'x', headers: { 'content-type': 'text/plain' } }, 415, 'unsupported_media_type')
  await isTold('/v1/audio/speech', { body: {} }, 404, 'not_found')
})

t.test('JSON is asked for as the model knows it', async (t) => {
  const create = async (format: OpenAI.ChatCompletionCreateParams['response_format']) => await openai.chat.completions.create({ model, messages: [user('As JSON')], response_format: format })
  await create({ type: 'json_object' })
  t.match(lastBody(), { response_format: { type: 'json_object' } })
  await create({ type: 'json_schema', json_schema: { name: 'parcel', schema: { type: 'object', properties: {} } } })
  t.match(lastBody(), { response_format: { type: 'json_schema', json_schema: { name: 'parcel' } } })
  await create({ type: 'text' })
  t.notOk('response_format' in (lastBody() as object))
})

t.test('models are configurations, by id or by a name that is theirs alone', async (t) => {
  const models = await Array.fromAsync(await openai.models.list())
  t.ok(models.some(({ id }) => id === model))
  t.match(await openai.models.retrieve('Shop'), { id: model, object: 'model', owned_by: 'parley', name: 'Shop' })
  const twin = await client.createConfig({ name: 'Twin / two' })
  t.equal((await openai.models.retrieve('Twin / two')).id, twin)
  const late = await client.createConfig({ name: 'Late' })
  t.equal((await openai.models.retrieve('Late')).id, late)
  await client.createConfig({ name: 'Double' })
  await client.createConfig({ name: 'Double' })
  await t.rejects(openai.models.retrieve('Double'), { status: 400, code: 'ambiguous_model', param: 'model' })
  const theirs = await clientFor('another', 'admin')
  t.strictSame((await theirs.ask('/v1/models')).body, { object: 'list', data: [] })
  for (const name of [model, 'Shop']) t.equal((await theirs.ask(`/v1/models/${name}`)).status, 404)
})

t.test('end users with a quota of their own are counted, or do not get in; visitors do not', async (t) => {
  const tenant = await clientFor('limited', 'admin')
  const config = await tenant.createConfig()
  await tenant.ask('/api/quotas', { method: 'PUT', body: { perUser: { messagesPerDay: 1 }, perKey: {} } })
  await app.quotaBook.refresh()
  const anna = bearer(tenant, { sub: 'anna', tid: 'limited', scope: 'chat' })
  const ask = async (who: Client) => await who.ask('/v1/chat/completions', { body: { model: config, messages: [user('x')] } })
  t.match(await ask(anna), { status: 403, body: { error: { code: 'forbidden' } } }, 'there is nothing to count by')
  await anna.createSession(config)
  t.equal((await ask(anna)).status, 200)
  t.match(await ask(anna), { status: 429, body: { error: { type: 'insufficient_quota', code: 'insufficient_quota' } } })
  t.equal((await anna.ask('/v1/embeddings', { body: { model: 'mistral-embed', input: 'x' } })).status, 200, 'messages are not tokens')
  const { token } = await app.accessTokens.issue({ tenantId: 'limited', subject: 'v', scopes: ['chat'], visitor: { configId: config } })
  const visitor = client.with({ authorization: `Bearer ${token}` })
  for (const answer of [await ask(visitor), await visitor.ask('/v1/models'), await visitor.ask('/v1/embeddings', { body: { model: 'm', input: 'x' } })]) t.equal(answer.status, 403)
})

t.test('the SDK repeats what may succeed later, and nothing else', async (t) => {
  const key = await client.ask<{ key: string }>('/api/keys', { body: { name: 'slow', scopes: ['chat'], requestsPerMinute: 1 } })
  const waits: string[] = []
  let calls = 0
  // The wait is as long as the answer says; here it is noted and not waited for, and then another key has its own limit.
  const impatient: typeof fetch = async (url, init) => {
    calls++
    const response = await fetch(url, { ...init, headers: { ...Object.fromEntries(new Headers(init?.headers)), ...(waits.length > 0 && { authorization: `Bearer ${adminKey}` }) } })
    if (response.status !== 429) return response
    waits.push(response.headers.get('retry-after')!)
    const headers = new Headers(response.headers)
    headers.set('retry-after-ms', '1')
    return new Response(response.body, { status: response.status, headers })
  }
  const eager = new OpenAI({ apiKey: key.body.key, baseURL, maxRetries: 1, fetch: impatient })
  await eager.models.list()
  await eager.models.list()
  t.equal(calls, 3)
  t.match(waits, [/^\d+$/])
  const sure = new OpenAI({ apiKey: adminKey, baseURL, maxRetries: 3, fetch: impatient })
  calls = 0
  sim.script([{ fault: { status: { code: 400 } } }])
  await isA(t, sure.chat.completions.create({ model, messages: [user('x')] }), OpenAI.InternalServerError)
  t.equal(calls, 1, 'a refused prompt is not asked once more')
})
