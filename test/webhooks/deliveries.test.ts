import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Writable } from 'node:stream'
import { ObjectId } from 'mongodb'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { type EndpointDelivery, type IssuedWebhookEndpoint, type WebhookEndpoint, type WebhookRedeliveries } from '../../schemas/webhook-endpoint.ts'
import { type Overrides } from '../../src/app.ts'
import { delayAfter, SCHEDULE_MS } from '../../src/webhooks/schedule.ts'
import { isProblem } from '../edge.ts'
import { databaseName, startApp, type Client } from '../helper.ts'
import { headersOf, startReceiver, type Received } from './receiver.ts'

const DAY_MS = 86_400_000
const key = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
const keys = { old: key('old'), new: key('new') }
const env = { OUTGOING_ALLOWED_NETWORKS: '127.0.0.0/8', ENCRYPTION_KEYS: keys.old, MONGODB_DATABASE: databaseName() }

let log = ''
const stream = new Writable({
  write (chunk, _encoding, done) {
    log += String(chunk)
    done()
  }
})
// Three attempts; who asks for a pause gets it.
const overrides: Overrides = { logger: { level: 'warn', stream }, webhookScheduleMs: [0, 1, 1] }
const { app, client, clientFor, db } = await startApp(t, env, overrides)
const receiver = await startReceiver(t)
const [all, one] = ['/api/webhook-endpoints', (id: string) => `/api/webhook-endpoints/${id}`]
const merge = { 'content-type': 'application/merge-patch+json' }

interface Made extends IssuedWebhookEndpoint { readonly lane: string }
let lanes = 0

async function endpoint (input: Record<string, unknown> = {}, as: Client = client): Promise<Made> {
  const lane = `/hook-${++lanes}?x=1`
  const { status, body } = await as.ask<IssuedWebhookEndpoint>(all, { body: { url: receiver.url + lane, ...input } })
  if (status !== 201) throw new Error(JSON.stringify(body))
  return { ...body, lane }
}

const get = async (id: string) => (await client.ask<WebhookEndpoint>(one(id))).body
const patch = async (id: string, body: object) => await client.ask<WebhookEndpoint>(one(id), { method: 'PATCH', body, headers: merge })
const ping = async ({ id }: { id: string }) => (await client.ask<EndpointDelivery>(`${one(id)}/test`, { method: 'POST' })).body
const read = async ({ id, endpointId }: EndpointDelivery) => (await client.ask<EndpointDelivery>(`${one(endpointId)}/deliveries/${id}`)).body
const listed = async ({ id }: { id: string }, query = '') =>
  (await client.ask<{ data: EndpointDelivery[], nextCursor: string | null }>(`${one(id)}/deliveries${query}`)).body

/** The delivery once `isDone`, by default when nothing more is to be done. */
async function once (delivery: EndpointDelivery, isDone = ({ status }: EndpointDelivery) => status !== 'pending'): Promise<EndpointDelivery> {
  for (;;) {
    const found = await read(delivery)
    if (isDone(found)) return found
    await delay(5)
  }
}

const verified = (secret: string, received: Received) => new Webhook(secret).verify(received.body, headersOf(received))

t.test('what happens arrives, signed, where it is wanted', async (t) => {
  const wants = await endpoint({ events: ['message.completed'], description: 'Into the help desk' })
  const other = await endpoint({ events: ['session.ended'] })
  t.match(wants.secret, /^whsec_[0-9A-Za-z+/]{43}=$/)
  const { secret: _secret, lane: _lane, ...shown } = wants
  t.strictSame(await get(wants.id), shown, 'the secret is not told again')
  t.notMatch(JSON.stringify(await client.ask(all)), /whsec_/)
  const stored = await db.collection('webhookEndpoints').findOne({ _id: new ObjectId(wants.id) })
  t.match(stored!['secret'], /^v1\.old\./)
  const session = await client.converse()
  const { body: { botMessage } } = await client.ask<{ botMessage: { id: string } }>(`/api/sessions/${session}/messages`, { body: { message: 'Héllo 🐳' } })
  const received = await receiver.next(wants.lane)
  t.match(verified(wants.secret, received), { type: 'message.completed', data: { message: botMessage, sessionId: session } })
  t.match(received.headers, { 'content-type': 'application/json', 'webhook-id': `evt_${botMessage.id}` })
  t.throws(() => verified(other.secret, received), 'and by no other secret')
  t.equal(receiver.unseen(other.lane), 0)
  t.strictSame((await listed(other)).data, [])
  const [delivery] = (await listed(wants)).data
  t.match(await once(delivery!), { status: 'delivered', eventId: `evt_${botMessage.id}`, nextAttemptAt: null, attempts: [{ status: 204, error: null, answer: '' }] })
})

t.test('what fails is sent again, the same bytes by the same id, for as long as the schedule goes', async (t) => {
  const made = await endpoint()
  const said = 'ü'.repeat(600)
  receiver.script(made.lane, { status: 500, body: said }, { status: 302, headers: { location: `${receiver.url}/elsewhere` } })
  const delivery = await ping(made)
  t.match(delivery, { type: 'webhook.ping', status: 'pending' })
  const [first, second, third] = [await receiver.next(made.lane), await receiver.next(made.lane), await receiver.next(made.lane)]
  for (const again of [second, third]) {
    t.equal(again.body, first.body)
    t.equal(again.headers['webhook-id'], first.headers['webhook-id'])
    t.ok(verified(made.secret, again))
  }
  const { attempts, status } = await once(delivery)
  t.equal(status, 'delivered')
  t.strictSame(attempts.map(({ status }) => status), [500, 302, 204])
  t.equal(attempts[0]!.answer, 'ü'.repeat(512), 'the first KiB of an answer is kept')
  t.equal(receiver.unseen('/elsewhere'), 0, 'nobody goes where an answer sends them')
  t.equal((await get(made.id)).failingSince, null, 'a success ends a time of failures')

  receiver.script(made.lane, ...Array.from({ length: 3 }, () => ({ status: 503 })))
  const lost = await once(await ping(made))
  t.match(lost, { status: 'failed', nextAttemptAt: null, completedAt: String, attempts: { length: 3 } })
  t.type((await get(made.id)).failingSince, 'string')
  t.match((await listed(made, '?status=failed')).data, [{ id: lost.id }])
  t.match((await listed(made, '?limit=1')), { data: [{ id: lost.id }], nextCursor: String })
})

t.test('who asks to wait is not asked before', async (t) => {
  const made = await endpoint()
  const inAnHour = new Date(Date.now() + 3_600_000).toUTCString()
  for (const retryAfter of ['3600', inAnHour]) {
    receiver.script(made.lane, { status: 429, headers: { 'retry-after': retryAfter } })
    const waits = await once(await ping(made), ({ attempts, nextAttemptAt }) => attempts.length === 1 && nextAttemptAt !== null)
    const ms = Date.parse(waits.nextAttemptAt!) - Date.parse(waits.attempts[0]!.at)
    t.ok(ms > 3_590_000 && ms < 3_700_000, retryAfter)
  }
  t.equal(SCHEDULE_MS.length, 10)
  const waits = (attempts: number, asked?: string) => delayAfter(attempts, asked, SCHEDULE_MS)!
  SCHEDULE_MS.forEach((ms, i) => { t.ok(Math.abs(waits(i) - ms) <= ms * 0.1) })
  t.equal(waits(10), undefined)
  for (const nonsense of ['', '-1', 'soon', '0', '1e9', new Date(0).toUTCString()]) t.ok(waits(1, nonsense) <= 5500, nonsense)
  t.equal(waits(1, '999999999'), DAY_MS, 'nor is it asked a year later')
})

t.test('410 is the end', async (t) => {
  const made = await endpoint()
  receiver.script(made.lane, { status: 410 })
  const delivery = await once(await ping(made))
  t.match(delivery, { status: 'failed', attempts: { length: 1 } })
  t.match(await get(made.id), { status: 'disabled', disabledReason: 'gone', disabledAt: String })
  for (const path of ['test', 'redeliver', `deliveries/${delivery.id}/redeliver`]) {
    const body = path === 'redeliver' ? { from: '2026-01-01T00:00:00Z' } : undefined
    isProblem(t, await client.ask(`${one(made.id)}/${path}`, { method: 'POST', body }), 'conflict')
  }
  t.match(log, /"reason":"gone".*it answered 410/)
  t.match(await patch(made.id, { status: 'enabled' }), { body: { status: 'enabled', disabledReason: null, failingSince: null } })
  t.equal((await once(await ping(made))).status, 'delivered')
})

t.test('who has failed for five days is disabled, and the log says so', async (t) => {
  const made = await endpoint()
  const failingFor = async (ms: number) => {
    await db.collection('webhookEndpoints').updateOne({ _id: new ObjectId(made.id) }, { $set: { failingSince: new Date(Date.now() - ms) } })
    receiver.script(made.lane, { status: 500 }, { status: 500 }, { status: 500 })
    await once(await ping(made))
    return await get(made.id)
  }
  t.match(await failingFor(4.9 * DAY_MS), { status: 'enabled' })
  await db.collection('webhookEndpoints').updateOne({ _id: new ObjectId(made.id) }, { $set: { failingSince: new Date(Date.now() - 5.1 * DAY_MS) } })
  receiver.script(made.lane, { status: 500 })
  const last = await once(await ping(made))
  t.equal(last.status, 'cancelled', 'and nothing more is tried')
  t.match(await get(made.id), { status: 'disabled', disabledReason: 'failing' })
  t.match(log, new RegExp(`"endpointId":"${made.id}","reason":"failing".*five days`))
})

t.test('once disabled or deleted, nothing more is sent', async (t) => {
  const made = await endpoint()
  const waiting = async () => {
    receiver.script(made.lane, { status: 503, headers: { 'retry-after': '3600' } })
    const delivery = await once(await ping(made), ({ attempts, nextAttemptAt }) => attempts.length > 0 && nextAttemptAt !== null)
    await receiver.next(made.lane)
    return delivery
  }
  const delivery = await waiting()
  t.match(await patch(made.id, { status: 'disabled', description: null }), { body: { status: 'disabled', disabledReason: 'requested' } })
  await db.collection('webhookDeliveries').updateOne({ _id: new ObjectId(delivery.id) }, { $set: { 'job.dueAt': new Date(1) } })
  t.equal((await once(delivery)).status, 'cancelled')
  await patch(made.id, { status: 'enabled', events: ['session.ended'], url: `${receiver.url}/moved` })
  const again = await client.ask<EndpointDelivery>(`${one(made.id)}/deliveries/${delivery.id}/redeliver`, { method: 'POST' })
  t.match(again, { status: 202, body: { status: 'pending', eventId: delivery.eventId } })
  t.match(await receiver.next('/moved'), { headers: { 'webhook-id': delivery.eventId } })
  t.match(await once(delivery), { status: 'delivered', attempts: [{ status: 503 }, { status: 204 }] })
  t.equal((await client.ask(one(made.id), { method: 'DELETE' })).status, 204)
  isProblem(t, await client.ask(one(made.id), { method: 'DELETE' }), 'not_found')
  isProblem(t, await client.ask(`${one(made.id)}/deliveries/${delivery.id}`), 'not_found')
  while (await db.collection('webhookDeliveries').countDocuments({ endpointId: new ObjectId(made.id) }) > 0) await delay(5)
  t.equal(receiver.unseen(made.lane), 0)
})

t.test('a stretch of time is sent once more', async (t) => {
  const made = await endpoint()
  const [early, late] = [await once(await ping(made)), await once(await ping(made))]
  for (const sent of [early, late]) t.equal((await receiver.next(made.lane)).headers['webhook-id'], sent.eventId)
  const again = async (body: object) => await client.ask<WebhookRedeliveries>(`${one(made.id)}/redeliver`, { body })
  t.match(await again({ from: early.createdAt, to: early.createdAt }), { status: 202, body: { count: 1, continueFrom: null } })
  t.equal((await receiver.next(made.lane)).headers['webhook-id'], early.eventId)
  await once(early)
  t.match(await again({ from: early.createdAt, status: 'failed' }), { body: { count: 0 } })
  t.match(await again({ from: early.createdAt, status: 'delivered' }), { body: { count: 2 } })
  const ids = [await receiver.next(made.lane), await receiver.next(made.lane)].map(({ headers }) => headers['webhook-id'])
  t.strictSame(ids.sort(), [early.eventId, late.eventId].sort())
  isProblem(t, await again({ from: 'yesterday' }), 'validation_failed')
  isProblem(t, await again({}), 'validation_failed')
})

t.test('two secrets sign while one takes the place of the other', async (t) => {
  const made = await endpoint()
  const rotate = async (body: object) =>
    (await client.ask<IssuedWebhookEndpoint>(`${one(made.id)}/rotate`, { body })).body.secret
  const sent = async () => {
    await ping(made)
    return await receiver.next(made.lane)
  }
  const second = await rotate({})
  const both = await sent()
  t.equal(String(both.headers['webhook-signature']).split(' ').length, 2)
  for (const secret of [made.secret, second]) t.ok(verified(secret, both))
  const third = await rotate({ overlapSeconds: 0 })
  const alone = await sent()
  t.ok(verified(third, alone))
  for (const secret of [made.secret, second]) t.throws(() => verified(secret, alone))
})

t.test('a secret that no key opens fails the attempt, until there is another', async (t) => {
  const made = await endpoint()
  await db.collection('webhookEndpoints').updateOne({ _id: new ObjectId(made.id) }, { $set: { secret: 'v1.lost.' + 'x'.repeat(60) } })
  const delivery = await once(await ping(made))
  t.match(delivery, { status: 'failed', attempts: [{ status: null, error: /^unsigned: .*rotate it/, answer: null }, {}, {}] })
  t.equal(receiver.unseen(made.lane), 0)
  const { body: { secret } } = await client.ask<IssuedWebhookEndpoint>(`${one(made.id)}/rotate`, { body: {} })
  await client.ask(`${one(made.id)}/deliveries/${delivery.id}/redeliver`, { method: 'POST' })
  t.ok(verified(secret, await receiver.next(made.lane)))
  t.notMatch(log, /a job of webhooks failed/)
})

t.test('what is deleted of people and conversations goes from the deliveries, too', async (t) => {
  const made = await endpoint({ events: ['message.completed'] })
  const about = async (id: string) => await db.collection('webhookDeliveries').countDocuments({ endpointId: new ObjectId(made.id), body: { $regex: id } })
  const say = async (session: string) => {
    const { body } = await client.ask<{ botMessage: { id: string } }>(`/api/sessions/${session}/messages`, { body: { message: 'Hello' } })
    await receiver.next(made.lane)
    return body.botMessage.id
  }
  const gone = async (id: string) => { while (await about(id) > 0) await delay(5) }
  const configId = await client.createConfig()
  const [deleted, cleared, kept, hers] = await Promise.all(['a', 'b', 'c', 'anna'].map(async (userId) => await client.createSession(configId, { userId }))) as [string, string, string, string]
  for (const session of [deleted, cleared, kept, hers]) await say(session)
  const message = await say(kept)
  t.equal(await about(kept), 2)
  await client.ask(`/api/sessions/${deleted}`, { method: 'DELETE' })
  await client.ask(`/api/sessions/${cleared}/messages`, { method: 'DELETE' })
  await app.chat.purge()
  await client.ask(`/api/sessions/${kept}/messages/${message}`, { method: 'DELETE' })
  await client.ask('/api/end-users/anna', { method: 'DELETE' })
  await Promise.all([deleted, cleared, message, hers].map(gone))
  t.equal(await about(kept), 1, 'and nothing else')
})

t.test('what is wrong is said clearly', async (t) => {
  const made = await endpoint()
  const bad: object[] = [
    {}, { url: '' }, { url: 'not a url' }, { url: 'ftp://example.com/' }, { url: 'https://a:b@example.com/' }, { url: 'https://10.0.0.1/' },
    { url: `https://example.com/${'x'.repeat(2048)}` }, { url: receiver.url, events: ['message.lost'] }, { url: receiver.url, events: ['webhook.ping'] },
    { url: receiver.url, events: ['session.ended', 'session.ended'] }, { url: receiver.url, status: 'paused' }, { url: receiver.url, secret: 'whsec_mine' }
  ]
  for (const body of bad) isProblem(t, await client.ask(all, { body }), 'validation_failed')
  for (const body of [{ url: 'http://169.254.169.254/' }, { url: null }, { events: null }]) isProblem(t, await patch(made.id, body), 'validation_failed')
  isProblem(t, await client.ask(`${one(made.id)}/rotate`, { body: { overlapSeconds: -1 } }), 'validation_failed')
  const unknown = new ObjectId().toHexString()
  isProblem(t, await client.ask(`${one(unknown)}/test`, { method: 'POST' }), 'not_found')
  isProblem(t, await client.ask(`${one(unknown)}/rotate`, { body: {} }), 'not_found')
  isProblem(t, await client.ask(`${one(unknown)}/deliveries`), 'not_found')
  isProblem(t, await client.ask(`${one(made.id)}/deliveries/${unknown}/redeliver`, { method: 'POST' }), 'not_found')
  t.strictSame(await get(made.id), (({ secret: _secret, lane: _lane, ...shown }) => shown)(made), 'and nothing is changed')
})

t.test('a tenant has fifty endpoints at most', async (t) => {
  const theirs = await clientFor('crowded', 'webhooks:write')
  for (let i = 0; i < 50; i++) await endpoint({ status: 'disabled' }, theirs)
  isProblem(t, await theirs.ask(all, { body: { url: receiver.url } }), 'conflict')
})

t.test('a server with a new key in front seals the secrets again', async (t) => {
  const made = await endpoint()
  await client.ask(`${one(made.id)}/rotate`, { body: {} })
  await startApp(t, { ...env, ENCRYPTION_KEYS: `${keys.new},${keys.old}` }, { webhookScheduleMs: [0] })
  const find = async () => (await db.collection('webhookEndpoints').findOne({ _id: new ObjectId(made.id) }))!
  for (;;) {
    const { secret, previous } = await find() as unknown as { secret: string, previous: { secret: string } }
    if ([secret, previous.secret].every((sealed) => sealed.startsWith('v1.new.'))) break
    await delay(5)
  }
  t.pass('both of them')
})

t.test('a server without keys takes no endpoints, and says why', async (t) => {
  const { client } = await startApp(t, { NODE_ENV: 'production' })
  const answer = await client.ask(all, { body: { url: 'https://example.com/' } })
  isProblem(t, answer, 'conflict')
  t.match(answer.body['detail'], /ENCRYPTION_KEYS/)
})
