import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { signJwt, isProblem, JWT_SECRET } from '../edge.ts'
import { startApp, type Client } from '../helper.ts'
import { startAppWithSim } from '../sim.ts'
import { said, seconds, signers, type Signed } from './signers.ts'

const { app, client, clientFor, db } = await startApp(t, { JWT_SECRET, RATE_LIMIT_INTEGRATION: '40', RATE_LIMIT_IP: '100' })
const sender = client.with({})
const configId = await client.createConfig({ purpose: 'Help with orders.', titles: false, summaries: false })

interface Issued { readonly id: string, readonly url: string, readonly secret: string }
interface Outcome { readonly id: string, readonly status: string, readonly sessionId: string, readonly reply: string, readonly botMessageId: string }

async function integration (input: Record<string, unknown> = {}): Promise<Issued> {
  const { status, body } = await client.ask<Issued>('/api/integrations', { body: { name: 'Help desk', configId, ...input } })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return body
}

const post = async <T = Outcome>({ url }: { url: string }, { headers, body }: Signed, query = '?wait=true') =>
  await sender.ask<T>(`${url}${query}`, { method: 'POST', headers, body })
const sign = ({ secret }: { secret: string }, body: string, scheme = 'standard', at?: number) => signers[scheme]!(secret, body, at)

t.test('a message is answered, once, however it is signed', async (t) => {
  for (const scheme of Object.keys(signers)) {
    const made = await integration({ scheme })
    const signed = sign(made, said(`When does it arrive, ${scheme}?`), scheme)
    const first = await post(made, signed)
    t.match(first, { status: 200, body: { status: 'completed', reply: String, sessionId: String } }, scheme)
    t.equal(first.headers.get('idempotency-replayed'), null)
    const again = await post(made, signed)
    t.strictSame(again.body, first.body, 'a repeat is answered the same')
    t.equal(again.headers.get('idempotency-replayed'), 'true')
    const { body: session } = await client.ask(`/api/sessions/${first.body.sessionId}`)
    t.match(session, { messageCount: 2, channel: 'helpdesk', userId: 'helpdesk:customer-17', external: { integrationId: made.id, userId: 'customer-17' } })
  }
})

t.test('without waiting, the message is taken on and answered behind', async (t) => {
  const made = await integration()
  const signed = sign(made, said('When does it arrive?'))
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await post<{ id: string, receivedAt: string, deliveryId: string }>(made, signed, '')))
  const [first] = answers
  t.ok(answers.every(({ status }) => status === 202))
  t.equal(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1, 'all are answered the same')
  t.equal(first!.body.deliveryId, signed.headers['webhook-id'])
  t.equal(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true').length, 19)
  const { body: { sessionId, botMessageId } } = await post(made, signed)
  const place = first!.headers.get('location')!
  t.match((await client.ask(place)).body, { id: first!.body.id, integrationId: made.id, configId, status: 'completed', attempts: 1, sessionId, botMessageId, error: null, endedAt: String })
  t.match((await client.ask(`/api/sessions/${sessionId}`)).body, { messageCount: 2 })
  const stored = await db.collection('inboundMessages').findOne({ botMessageId: { $ne: null }, integrationId: { $ne: null } }, { sort: { _id: -1 } })
  t.notMatch(JSON.stringify(stored), /arrive|customer-17/, 'what was said is in the session only')
  isProblem(t, await client.ask(`/api/webhook/deliveries/${'0'.repeat(24)}`), 'not_found')
})

t.test('a reply that was erased is not told again', async (t) => {
  const made = await integration()
  const signed = sign(made, said('Hello.'))
  const { body: { id, sessionId, botMessageId } } = await post(made, signed)
  await client.ask(`/api/sessions/${sessionId}/messages/${botMessageId}`, { method: 'DELETE' })
  t.match(await post(made, signed), { status: 202, body: { id } })
  await client.ask(`/api/sessions/${sessionId}`, { method: 'DELETE' })
  t.match(await post(made, signed), { status: 202, body: { id } })
  await app.chat.purge()
  t.match(await post(made, signed, ''), { status: 202, body: { id } }, 'nor is it said again')
})

t.test('who is not the sender is told nothing', async (t) => {
  const made = await integration()
  const other = await integration()
  const body = said('Hello.')
  const good = sign(made, body)
  const wrong: Record<string, [{ url: string }, Signed]> = {
    'no signature': [made, { body, headers: {} }],
    'of another integration': [other, good],
    'another body': [made, { ...good, body: body.replace('Hello', 'Hullo') }],
    'too old': [made, sign(made, body, 'standard', seconds() - 400)],
    'not there': [{ url: `/api/webhook/${'0'.repeat(24)}` }, good]
  }
  const told = new Set<string>()
  for (const [label, [to, signed]] of Object.entries(wrong)) {
    const answer = await post(to, signed)
    isProblem(t, answer, 'unauthenticated', label)
    told.add((answer.body as unknown as { detail: string }).detail)
  }
  t.equal(told.size, 1)
  isProblem(t, await sender.ask('/api/webhook/not-an-id', { method: 'POST', body: 'x' }), 'not_found')
  t.equal((await post(made, good)).status, 200)
})

t.test('users go on in their sessions, in the order in which they wrote', async (t) => {
  const made = await integration({ sessionIdleMinutes: 10 })
  const ask = async (text: string, more: Record<string, unknown> = {}) => (await post(made, sign(made, said(text, more)))).body.sessionId
  const both = await Promise.all([ask('One.'), ask('Two.')])
  t.equal(both[0], both[1], 'two first messages at once make one session')
  for (let i = 3; i < 8; i++) await post(made, sign(made, said(`Number ${i}.`)), '')
  await ask('The last.')
  const { body: { data } } = await client.ask<{ data: Array<{ role: string, content: string, metadata: object }> }>(`/api/sessions/${both[0]}/messages`)
  const users = data.filter(({ role }) => role === 'user')
  t.strictSame(users.slice(2).map(({ content }) => content), ['Number 3.', 'Number 4.', 'Number 5.', 'Number 6.', 'Number 7.', 'The last.'])
  t.match(users[0], { metadata: { externalMessageId: /^m-/ } })
  t.not(await ask('Hello.', { externalUserId: 'customer-18' }), both[0], 'another user')
  t.not(await ask('Hello.', { channel: 'chat' }), both[0], 'another channel')
  t.equal(await ask('Still here.', { metadata: { order: 17 } }), both[0])

  const sessions = db.collection('sessions')
  await sessions.updateMany({ userId: 'helpdesk:customer-17' }, { $set: { lastActivity: new Date(Date.now() - 11 * 60_000) } })
  const later = await ask('I am back.')
  t.not(later, both[0], 'idle for too long')
  await client.ask(`/api/sessions/${later}`, { method: 'PATCH', body: { status: 'ended' } })
  const fresh = await ask('And again.')
  t.not(fresh, later, 'ended')
  await client.ask(`/api/sessions/${fresh}`, { method: 'DELETE' })
  t.not(await ask('Once more.'), fresh, 'deleted')
  const elsewhere = await client.createConfig({ purpose: 'Something else.' })
  await client.ask(`/api/integrations/${made.id}`, { method: 'PATCH', body: { configId: elsewhere } })
  const moved = await ask('Who are you?')
  t.match((await client.ask(`/api/sessions/${moved}`)).body, { configId: elsewhere }, 'another chatbot')
})

t.test('any JSON is taken where the integration says what is where', async (t) => {
  const made = await integration({
    scheme: 'github',
    channel: 'whatsapp',
    mapping: {
      text: '/entry/0/messages/0/text/body', externalUserId: '/entry/0/messages/0/from', externalMessageId: '/entry/0/messages/0/id', metadata: '/entry/0/a~1b~0'
    }
  })
  const send = async (message: object, more: object = {}) =>
    await post<Record<string, unknown>>(made, sign(made, JSON.stringify({ entry: [{ messages: [message], ...more }] }), 'github'))
  const found = await send({ text: { body: 'Hello.' }, from: 4915112345678, id: 'wamid.1' }, { 'a/b~': { order: 17 } })
  t.match(found, { status: 200, body: { status: 'completed', deliveryId: 'wamid.1' } })
  const { body: { data } } = await client.ask<{ data: object[] }>(`/api/sessions/${String(found.body['sessionId'])}/messages`)
  t.match(data[0], { content: 'Hello.', metadata: { order: 17, externalMessageId: 'wamid.1' } })
  t.match((await client.ask(`/api/sessions/${String(found.body['sessionId'])}`)).body, { channel: 'whatsapp', external: { userId: '4915112345678' } })
  for (const message of [{ status: 'read' }, { text: { body: '  ' }, from: 'a' }, { text: 'x', from: 'a' }, { text: { body: 'Hello.' } }]) {
    t.match(await send(message), { status: 200, body: { status: 'ignored', reason: String } }, JSON.stringify(message))
  }
  for (const metadata of ['text', [1], { long: 'x'.repeat(5000) }, { 'a\0': 1 }]) {
    const id = `wamid.${JSON.stringify(metadata).slice(0, 20)}`
    const { body } = await send({ text: { body: 'Hello.' }, from: 'b', id }, { 'a/b~': metadata })
    const { body: message } = await client.ask(`/api/sessions/${String(body['sessionId'])}/messages/${String(body['userMessageId'])}`)
    t.strictSame(message['metadata'], { externalMessageId: id }, 'what is no object, or too large, is left out')
  }
  isProblem(t, await send({ text: { body: 'x'.repeat(5001) }, from: 'a' }), 'validation_failed')
  t.match(await post(made, { ...sign(made, '[]', 'github') }), { body: { status: 'ignored' } })
  const { status } = await sender.ask(made.url, { method: 'POST', ...sign(made, said('x'), 'github'), headers: { ...sign(made, said('x'), 'github').headers, 'content-type': 'text/plain' } })
  t.equal(status, 401, 'what is signed is what was sent')
})

t.test('deliveries are told apart by what the sender has for it', async (t) => {
  const anonymous = { externalMessageId: undefined }
  const idOf = async (scheme: string, body: string, headers: Record<string, string> = {}, input: object = {}) => {
    const made = await integration({ scheme, ...input })
    const signed = sign(made, body, scheme)
    return (await post<{ deliveryId: string }>(made, { body, headers: { ...signed.headers, ...headers } }, '')).body.deliveryId
  }
  const mapping = { text: '/text', externalUserId: '/externalUserId' }
  t.equal(await idOf('stripe', said('x', { id: 'evt_17' }), {}, { mapping }), 'evt_17')
  t.equal(await idOf('slack', said('x', { event_id: 'Ev17' }), {}, { mapping }), 'Ev17')
  t.equal(await idOf('github', said('x', anonymous), { 'x-github-delivery': 'guid-17' }), 'guid-17')
  t.equal(await idOf('github', said('x', { externalMessageId: 'm-x' }), { 'x-github-delivery': 'guid-17' }), 'm-x', 'what is signed comes before what is not')
  t.match(await idOf('hmac', said('x', anonymous)), /^[0-9a-f]{64}$/, 'by the body, where there is nothing else')
  t.equal(await idOf('standard', said('x', { key: 17 }), {}, { mapping: { ...mapping, deliveryId: '/key' } }), '17')
  t.match(await idOf('stripe', said('x', { id: 'e'.repeat(300) }), {}, { mapping }), /^[0-9a-f]{64}$/)
})

t.test('the handshakes of Slack, Meta and GitHub', async (t) => {
  const slack = await integration({ scheme: 'slack' })
  const challenge = JSON.stringify({ type: 'url_verification', challenge: '3eZbrw1a' })
  t.match(await post(slack, sign(slack, challenge, 'slack'), ''), { status: 200, body: { challenge: '3eZbrw1a' } })
  isProblem(t, await post(slack, { body: challenge, headers: {} }, ''), 'unauthenticated', 'not signed')
  isProblem(t, await post(slack, sign(slack, '{"type":"url_verification"}', 'slack'), ''), 'validation_failed')
  const event = (inner: object, id: string) => sign(slack, JSON.stringify({ type: 'event_callback', event_id: id, event: { type: 'message', channel: 'C1', ts: '1.2', ...inner } }), 'slack')
  t.match(await post(slack, event({ user: 'U1', text: 'Hello.' }, 'Ev1')), { status: 200, body: { status: 'completed', deliveryId: 'Ev1' } })
  t.match(await post(slack, event({ bot_id: 'B1', user: 'U1', text: 'Hello.' }, 'Ev2')), { body: { status: 'ignored', reason: /bot/ } })
  t.match(await post(slack, event({ subtype: 'message_deleted' }, 'Ev3')), { body: { status: 'ignored' } })

  const github = await integration({ scheme: 'github' })
  const ping = sign(github, '{"zen":"Keep it logically awesome."}', 'github')
  t.match(await post(github, { ...ping, headers: { ...ping.headers, 'x-github-event': 'ping' } }, ''), { status: 200, body: { status: 'ignored', reason: /ping/ } })

  const meta = await integration({ scheme: 'github', verifyToken: 'the-verify-token' })
  const shake = async ({ url }: { url: string }, token: string, mode = 'subscribe') =>
    await sender.fetch(`${url}?${new URLSearchParams({ 'hub.mode': mode, 'hub.verify_token': token, 'hub.challenge': '<b>17</b>' }).toString()}`)
  const answer = await shake(meta, 'the-verify-token')
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain/)
  t.equal(await answer.text(), '<b>17</b>')
  for (const [to, token, mode] of [[meta, 'the-verify-tokem'], [meta, ''], [meta, 'the-verify-token', 'unsubscribe'], [github, ''], [{ url: `/api/webhook/${'0'.repeat(24)}` }, 'x']] as const) {
    t.equal((await shake(to, token, mode)).status, 401)
  }
  t.equal((await shake({ url: '/api/webhook/none' }, 'x')).status, 404)
})

t.test('bodies that are no messages are refused, in a way that tells why', async (t) => {
  const made = await integration()
  const refused = async (body: string, code: Parameters<typeof isProblem>[2], label = body.slice(0, 60)) =>
    isProblem(t, await post(made, sign(made, body)), code, label)
  for (const body of ['', 'x', '{"a":', '{"__proto__":1}', '{"a":{"constructor":{"prototype":1}}}', '['.repeat(40)]) await refused(body, 'malformed_json')
  for (const more of [{ type: 'other' }, { text: ' ' }, { channel: '' }, { externalUserId: 17 }, { externalUserId: 'x'.repeat(129) }, { unknown: 1 }, { metadata: [] }, { text: 'a\0' }]) {
    await refused(said('Hello.', more), 'validation_failed')
  }
  await refused('[]', 'validation_failed')
  const bytes = Buffer.from([0x22, 0xff, 0x22])
  isProblem(t, await post(made, { ...sign(made, '"\ufffd"'), body: bytes as unknown as string }), 'unauthenticated', 'bytes that are not what was signed')
})

t.test('a credential stands in for a signature where there is no integration', async (t) => {
  const chat = await clientFor('default', 'chat')
  const ask = async (who: Client, more: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
    await who.ask<Outcome>('/api/webhook?wait=true', { body: said('Hello.', { configId, ...more }), headers })
  const first = await ask(chat)
  t.match(first, { status: 200, body: { status: 'completed' } })
  t.match((await client.ask(`/api/sessions/${first.body.sessionId}`)).body, { userId: 'helpdesk:customer-17', external: { integrationId: null, userId: 'customer-17' } })
  t.equal((await ask(client)).body.sessionId, first.body.sessionId, 'the same user, whoever speaks for them')
  const keyed = await ask(chat, { externalMessageId: undefined }, { 'idempotency-key': 'k-1' })
  t.strictSame((await ask(chat, { externalMessageId: undefined }, { 'idempotency-key': 'k-1' })).body, keyed.body)
  isProblem(t, await ask(chat, { externalMessageId: undefined, text: 'Else.' }, { 'idempotency-key': 'k-1' }), 'idempotency_conflict')
  t.not((await ask(client, { externalMessageId: undefined }, { 'idempotency-key': 'k-1' })).body.id, keyed.body.id, 'a key is its caller\'s own')
  t.not((await ask(chat, { externalMessageId: undefined })).body.id, (await ask(chat, { externalMessageId: undefined })).body.id, 'each is new without a name')
  const anna = client.with({ authorization: `Bearer ${signJwt({ sub: 'anna', scope: 'chat' })}` })
  isProblem(t, await ask(anna), 'forbidden', 'of other users')
  const own = await ask(anna, { externalUserId: 'anna' })
  t.match((await anna.ask(`/api/sessions/${own.body.sessionId}`)).body, { userId: 'anna' })
  const { token } = await app.accessTokens.issue({ tenantId: 'default', subject: 'visitor', scopes: ['chat'], visitor: { configId } })
  isProblem(t, await ask(client.with({ authorization: `Bearer ${token}` })), 'forbidden', 'visitors')
  isProblem(t, await ask(await clientFor('default', 'sessions:read')), 'forbidden', 'another scope')
  isProblem(t, await ask(await clientFor('elsewhere', 'chat')), 'not_found', 'another tenant')
  isProblem(t, await ask(client.with({ 'x-api-key': 'pk_00000000_00000000000000000000000000000000' })), 'unauthenticated')
  isProblem(t, await ask(chat, { configId: undefined }), 'validation_failed')
  isProblem(t, await ask(sender), 'unauthenticated', 'neither')
  isProblem(t, await sender.ask('/api/webhook', { body: 'x' }), 'unauthenticated', 'nothing')

  const made = await integration()
  t.match(await post({ url: '/api/webhook' }, sign(made, said('Hello.', { integrationId: made.id }))), { status: 200, body: { status: 'completed' } }, 'signed')
})

t.test('what the chatbot does not serve, and what is switched off', async (t) => {
  const narrow = await client.createConfig({ purpose: 'Help.', channels: ['email'] })
  const made = await integration({ configId: narrow })
  isProblem(t, await post(made, sign(made, said('Hello.'))), 'validation_failed', 'another channel')
  t.equal((await post(made, sign(made, said('Hello.', { channel: 'email' })))).status, 200)
  await client.ask(`/api/integrations/${made.id}`, { method: 'PATCH', body: { enabled: false } })
  isProblem(t, await post(made, sign(made, said('Hello.', { channel: 'email' }))), 'forbidden')
  await client.ask(`/api/integrations/${made.id}`, { method: 'PATCH', body: { enabled: true } })
  await client.ask(`/api/configs/${narrow}`, { method: 'DELETE' })
  isProblem(t, await post(made, sign(made, said('Hello.', { channel: 'email' }))), 'not_found', 'the chatbot is deleted')
  await app.chat.purge()
  t.equal((await client.ask(`/api/integrations/${made.id}`)).status, 404, 'and its integrations with it')
  const known = await db.collection('conversations').countDocuments({ integrationId: { $exists: true }, configId: { $exists: true } })
  t.ok(known > 0)
})

t.test('a user who is erased leaves nothing behind', async (t) => {
  const made = await integration()
  const of = { externalUserId: 'leaving' }
  const { body: { sessionId } } = await post(made, sign(made, said('Hello.', of)))
  await db.collection('inboundMessages').updateOne({ sessionId: (await db.collection('sessions').findOne({ userId: 'helpdesk:leaving' }))!._id }, { $set: { said: { userId: 'helpdesk:leaving' } } })
  await client.ask('/api/end-users/helpdesk:leaving', { method: 'DELETE' })
  await app.erasures.resume()
  for (const name of ['sessions', 'conversations', 'inboundMessages']) {
    t.notMatch(JSON.stringify(await db.collection(name).find().toArray()), /leaving/, name)
  }
  t.not((await post(made, sign(made, said('Hello.', of)))).body.sessionId, sessionId)
})

t.test('where the model fails, the message is tried again or has failed', async (t) => {
  const { client, db, sim } = await startAppWithSim(t)
  const configId = await client.createConfig({ purpose: 'Help.', titles: false, summaries: false })
  const { body: made } = await client.ask<Issued>('/api/integrations', { body: { name: 'Help desk', configId } })
  const send = async (signed: Signed, query = '?wait=true') => await client.with({}).ask(made.url + query, { method: 'POST', ...signed })
  sim.script([{ fault: { status: { code: 400 } } }])
  const rejected = sign(made, said('One.'))
  for (const label of ['the first time', 'and again']) isProblem(t, await send(rejected), 'upstream_rejected', label)
  // Each is asked for three times before it has failed.
  sim.script(Array.from({ length: 3 }, () => ({ fault: { status: { code: 500 } } })))
  const passing = sign(made, said('Two.'))
  const { body: { id } } = await send(passing, '')
  const inbound = db.collection('inboundMessages')
  while (await inbound.findOne({ attempts: 0, status: 'queued' })) await setImmediate()
  t.match((await client.ask(`/api/webhook/deliveries/${String(id)}`)).body, { status: 'queued', attempts: 1, error: { code: /^upstream_/ }, endedAt: null })
  await inbound.updateOne({ status: 'queued' }, { $set: { 'job.dueAt': new Date(1000) } })
  t.match(await send(passing), { status: 200, body: { status: 'completed' } })
  t.match((await client.ask(`/api/webhook/deliveries/${String(id)}`)).body, { attempts: 2, error: null })
  const sendByKey = async (text: string) => await client.ask('/api/webhook?wait=true', { body: { ...JSON.parse(said(text)) as object, configId } })
  sim.script([{ fault: { status: { code: 400 } } }])
  isProblem(t, await sendByKey('Three.'), 'upstream_rejected', 'with a credential, too')
  await client.ask('/api/tenants/default/quota', { method: 'PUT', body: { tenant: { messagesPerDay: 1 } } })
  while ((await sendByKey('Four.')).status === 200) { /* until it is used up */ }
  isProblem(t, await send(sign(made, said('Six.'))), 'quota_exceeded')
  isProblem(t, await sendByKey('Five.'), 'quota_exceeded')
  await client.ask(`/api/integrations/${made.id}`, { method: 'DELETE' })
  t.equal(await inbound.countDocuments({ integrationId: made.id }), 0)
})

t.test('a tenant that is suspended takes no messages', async (t) => {
  const made = await integration()
  t.intercept(app.activeTenants, 'get', { value: async () => false })
  isProblem(t, await post(made, sign(made, said('Hello.'))), 'forbidden')
})

t.test('deliveries count against their integration, and those that fail against their address', async (t) => {
  const made = await integration()
  const good = sign(made, 'not JSON')
  const statuses = async (signed: Signed, times: number) => (await Promise.all(Array.from({ length: times }, async () => await post(made, signed)))).map(({ status }) => status)
  const counted = await statuses(good, 41)
  t.strictSame([counted.filter((status) => status === 400).length, counted.filter((status) => status === 429).length], [40, 1])
  t.match(await post(made, good), { status: 429, body: { limit: 'integration' } })
  t.ok((await statuses({ body: '{}', headers: {} }, 100)).includes(429))
  t.match(await post(made, { body: '{}', headers: {} }), { status: 429, body: { limit: 'ip' } })
})
