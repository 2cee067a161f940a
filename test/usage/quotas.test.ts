import t from 'tap'
import { type Answer, type Client, startApp, storeUri, type TestApp } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { promptOf, startAppWithSim, startTestSim } from '../sim.ts'

const send = async (client: Client, session: string, headers: Record<string, string> = {}) =>
  await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Hello' }, headers })

async function openSessions (client: Client, count: number, input: Record<string, unknown> = {}): Promise<string[]> {
  const configId = await client.createConfig(input)
  return await Promise.all(Array.from({ length: count }, async () => await client.createSession(configId)))
}

/** What is wrong with the ledger once all is in it. */
async function settled ({ app, db }: TestApp): Promise<string[]> {
  await app.usageLedger.flush()
  return await checkLedger(await storeUri(), db.databaseName, { recorded: true })
}

const refused = (subject: string, name: string) => ({ status: 402, body: { code: 'quota_exceeded', quota: { subject, name } } })

t.test('50 sends at once get what a quota of 10 messages allows', async (t) => {
  const app = await startAppWithSim(t, {}, { QUOTA_TENANT_MESSAGES_PER_DAY: '10' })
  const sessions = await openSessions(app.client, 50)
  const answers = await Promise.all(sessions.map(async (session, i): Promise<Pick<Answer, 'status' | 'body'>> => {
    const wishes: Array<Record<string, string>> = [{ accept: 'text/event-stream' }, { prefer: 'respond-async' }, {}]
    const wish = wishes[i % 3]!
    // Events are no JSON.
    return await send(app.client, session, wish).catch(() => ({ status: 200, body: {} }))
  }))
  const midnight = new Date(Math.ceil(Date.now() / 86_400_000) * 86_400_000).toISOString()
  const no = answers.filter(({ status }) => status === 402)
  t.equal(no.length, 40)
  t.match(no[0]!.body, { code: 'quota_exceeded', quota: { name: 'messagesPerDay', subject: 'tenant', limit: 10, resetAt: midnight } })
  while (await app.db.collection('messages').findOne({ status: 'streaming' })) { /* those that nobody waits for */ }
  t.same(await settled(app), [])
  t.equal(await app.db.collection('messages').countDocuments({}), 20, 'of those that were refused nothing is left')
  t.match(await app.db.collection('quotaCounters').findOne({}), { day: { messages: 10 }, month: { messages: 10 }, reservations: [] })
  t.match(await send(app.client, sessions[0]!), refused('tenant', 'messagesPerDay'))
})

t.test('50 sends at once never use more tokens than there are', async (t) => {
  const app = await startAppWithSim(t, {}, { QUOTA_TENANT_TOKENS_PER_MONTH: '3000' })
  const sessions = await openSessions(app.client, 50, { model: { maxTokens: 100 } })
  const answers = await Promise.all(sessions.map(async (session) => await send(app.client, session)))
  t.same([...new Set(answers.map(({ status }) => status))].sort(), [200, 402])
  t.same(await settled(app), [])
  const counter = await app.db.collection<{ month: { tokens: number } }>('quotaCounters').findOne({})
  t.ok(counter!.month.tokens > 0 && counter!.month.tokens <= 3000, `${counter!.month.tokens} tokens`)
})

t.test('what was sent before is found again when nothing is left', async (t) => {
  const app = await startApp(t, { QUOTA_TENANT_MESSAGES_PER_MONTH: '1' })
  const [session] = await openSessions(app.client, 1)
  const key = { 'idempotency-key': 'k' }
  const { body } = await send(app.client, session!, key)
  const no = await send(app.client, session!, { 'idempotency-key': 'l' })
  t.match(no, refused('tenant', 'messagesPerMonth'))
  t.match(no.headers.get('retry-after'), /^\d+$/)
  const again = await send(app.client, session!, key)
  t.match(again, { status: 200, body })
  t.equal(again.headers.get('idempotency-replayed'), 'true')
  t.same(await settled(app), [])
})

t.test('end users and keys have quotas of their own, which their tenant sets', async (t) => {
  const app = await startApp(t)
  const { client, clientFor } = app
  const configId = await client.createConfig()
  const [anna, berta] = [await client.createSession(configId, { userId: 'anna' }), await client.createSession(configId, { userId: 'berta' })]
  await send(client, anna)
  const set = async (body: unknown, who = client, path = '/api/quotas') => await who.ask(path, { method: 'PUT', body })
  t.match(await set({ perUser: { messagesPerDay: 2 }, perKey: { messagesPerDay: 3 } }), {
    status: 200, body: { tenant: { messagesPerDay: 0 }, perUser: { messagesPerDay: 2, tokensPerDay: 0 }, perKey: { messagesPerDay: 3 } }
  })
  await app.app.usageLedger.flush()
  t.match(await send(client, anna), { status: 200 })
  t.match(await send(client, anna), refused('user', 'messagesPerDay'), 'what was used before the quota was set counts')
  t.match(await send(client, berta), { status: 200 })
  t.match(await send(client, berta), refused('key', 'messagesPerDay'))
  const other = await clientFor('default', 'sessions:write')
  t.match(await send(other, berta), { status: 200 }, 'another key')
  const admin = await clientFor('default', 'admin')
  t.match(await set({ tenant: { messagesPerDay: 1 } }, admin), { status: 400 })
  t.match(await set({ tenant: { messagesPerDay: 1 } }, admin, '/api/tenants/default/quota'), { status: 403 })
  const operator = await clientFor('operators', 'platform')
  t.match(await set({ tenant: { messagesPerDay: 4 } }, operator, '/api/tenants/default/quota'), { status: 200 })
  t.match(await client.ask('/api/quotas'), { status: 200, body: { tenant: { messagesPerDay: 4 }, perUser: { messagesPerDay: 2 } } })
  t.match(await send(other, anna), refused('tenant', 'messagesPerDay'))
  await set({ perUser: {}, perKey: {} })
  await set({ tenant: {} }, operator, '/api/tenants/default/quota')
  t.match(await set({ tenant: {} }, operator, '/api/tenants/no%20tenant/quota'), { status: 404 }, 'what cannot be a tenant')
  t.match(await send(client, anna), { status: 200 })
  t.same(await settled(app), [])
})

t.test('a tenant may lift what the deployment has set for keys', async (t) => {
  const app = await startApp(t, { QUOTA_KEY_MESSAGES_PER_DAY: '1' })
  const [session] = await openSessions(app.client, 1)
  await send(app.client, session!)
  t.match(await send(app.client, session!), refused('key', 'messagesPerDay'))
  await app.client.ask('/api/quotas', { method: 'PUT', body: { perUser: {}, perKey: { messagesPerDay: 0 } } })
  t.match(await send(app.client, session!), { status: 200 })
})

t.test('a quota that was set elsewhere is learned of', async (t) => {
  const first = await startApp(t)
  const second = await startApp(t, { MONGODB_DATABASE: first.db.databaseName, BOOTSTRAP_API_KEY: first.adminKey })
  const [session] = await openSessions(first.client, 1)
  await first.client.ask('/api/quotas', { method: 'PUT', body: { perUser: {}, perKey: { tokensPerDay: 10 } } })
  await second.app.quotaBook.refresh()
  t.match(await send(second.client, session!), refused('key', 'tokensPerDay'))
})

t.test('near the end of a quota a reply is bounded by what is left, and who runs it is warned once', async (t) => {
  const logged: string[] = []
  const sim = await startTestSim(t)
  const app = await startApp(t, { MISTRAL_BASE_URL: sim.url, MISTRAL_API_KEY: 'sim', QUOTA_TENANT_TOKENS_PER_DAY: '9000' }, {
    logger: { level: 'warn', stream: { write: (line: string) => { logged.push(line) } } }
  })
  const [session] = await openSessions(app.client, 1)
  await send(app.client, session!)
  const asked = sim.requests()[0]!.json as { max_tokens: number }
  t.equal(asked.max_tokens, 4096)
  t.ok(promptOf(sim, 0).length > 0)
  await app.app.usageLedger.flush()
  await app.db.collection('usageEvents').updateMany({}, { $set: { promptTokens: 8000 } })
  // As if it were lost: it is summed up from the ledger.
  await app.db.collection('quotaCounters').deleteMany({})
  t.match(await send(app.client, session!), { status: 200 })
  const bounded = sim.requests()[1]!.json as { max_tokens: number }
  t.ok(bounded.max_tokens < 1000 && bounded.max_tokens >= 256, `${bounded.max_tokens} tokens`)
  await app.app.usageLedger.flush()
  await app.db.collection('quotaCounters').updateMany({}, { $set: { stale: true }, $inc: { version: 1 } })
  t.match(await send(app.client, session!), { status: 200 })
  t.equal(logged.filter((line) => line.includes('most of a quota is used up')).length, 1)
  t.match(await app.db.collection('quotaCounters').findOne({}), { warned: { tokensPerDay: { at: Date } } })
})

t.test('what died with its process is reserved no more, and too many at once are turned away', async (t) => {
  const app = await startApp(t, { QUOTA_TENANT_MESSAGES_PER_DAY: '5' })
  const [session] = await openSessions(app.client, 1)
  await send(app.client, session!)
  await app.app.usageLedger.flush()
  const counters = app.db.collection<{ reservations: object[] }>('quotaCounters')
  const hold = async (count: number, messages: number, until: Date) => await counters.updateMany({}, {
    $set: { reservations: Array.from({ length: count }, (_, i) => ({ id: `${i}`, tokens: 0, messages, until })) }
  })
  const [past, future] = [new Date(Date.now() - 1000), new Date(Date.now() + 3_600_000)]
  await hold(4, 1, future)
  t.match(await send(app.client, session!), refused('tenant', 'messagesPerDay'))
  await hold(4, 1, past)
  t.match(await send(app.client, session!), { status: 200 })
  await app.app.usageLedger.flush()
  await hold(1000, 0, future)
  t.match(await send(app.client, session!), { status: 503, body: { code: 'overloaded' } })
})
