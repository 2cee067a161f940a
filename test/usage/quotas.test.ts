import t from 'tap'
import { type Client, storeUri, type TestApp } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { startAppWithSim } from '../sim.ts'

const send = async (client: Client, session: string, headers: Record<string, string> = {}, message = 'Hello') =>
  await client.ask(`/api/sessions/${session}/messages`, { body: { message }, headers })

async function openSessions (client: Client, count: number, input: Record<string, unknown> = {}): Promise<string[]> {
  const configId = await client.createConfig(input)
  return await Promise.all(Array.from({ length: count }, async () => await client.createSession(configId)))
}

async function settled ({ app, db }: TestApp): Promise<string[]> {
  await app.usageLedger.flush()
  return await checkLedger(await storeUri(), db.databaseName, { recorded: true })
}

t.test('50 sends at once get what a quota of 10 messages allows', async (t) => {
  const app = await startAppWithSim(t, {}, { QUOTA_TENANT_MESSAGES_PER_DAY: '10' })
  const sessions = await openSessions(app.client, 50)
  const answers = await Promise.all(sessions.map(async (session, i) => await send(
    app.client, session, i % 3 === 0 ? { accept: 'text/event-stream' } : i % 3 === 1 ? { prefer: 'respond-async' } : {}
  ).catch(() => ({ status: 200, body: {} }))))
  const count = (status: number) => answers.filter((answer) => answer.status === status).length
  t.equal(count(402), 40)
  const midnight = new Date(Math.ceil(Date.now() / 86_400_000) * 86_400_000).toISOString()
  t.match(answers.find(({ status }) => status === 402)!.body, {
    code: 'quota_exceeded', quota: { name: 'messagesPerDay', subject: 'tenant', limit: 10, resetAt: midnight }
  })
  while (await app.db.collection('messages').findOne({ status: 'streaming' })) { /* those that nobody waits for */ }
  t.same(await settled(app), [])
  t.equal(await app.db.collection('messages').countDocuments({}), 20, 'of those that were refused nothing is left')
  t.match(await app.db.collection('quotaCounters').findOne({}), { day: { messages: 10 }, month: { messages: 10 }, reservations: [] })
  t.match(await send(app.client, sessions[0]!), { status: 402 })
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
