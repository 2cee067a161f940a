import { setTimeout as delay } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { checkLedger } from '../ledger.ts'
import { startProcesses } from '../replicas.ts'

t.setTimeout(180_000)

const SENDS = 50
const SETTLED_MS = 20_000

t.test(`${SENDS} sends at once over two processes get what the quotas allow`, async (t) => {
  const { clients, uri, database } = await startProcesses(t, { cadence: { chunkDelayMs: 1 } }, {
    QUOTA_TENANT_MESSAGES_PER_DAY: '10', QUOTA_KEY_TOKENS_PER_DAY: '100000'
  })
  const configId = await clients[0].createConfig({ model: { maxTokens: 100 } })
  const sessions = await Promise.all(Array.from({ length: SENDS }, async () => await clients[0].createSession(configId)))
  const answers = await Promise.all(sessions.map(async (session, i) =>
    await clients[i % 2]!.ask(`/api/sessions/${session}/messages`, { body: { message: 'one two three' } })))
  const count = (status: number) => answers.filter((answer) => answer.status === status).length
  t.same([count(200), count(402)], [10, SENDS - 10])
  const recorded = async () => await checkLedger(uri, database, { recorded: true })
  const deadline = performance.now() + SETTLED_MS
  while ((await recorded()).length > 0 && performance.now() < deadline) await delay(50)
  t.same(await recorded(), [])
  const client = await MongoClient.connect(uri)
  const counters = await client.db(database).collection('quotaCounters').find().toArray().finally(() => client.close())
  t.match(counters, [{ day: { messages: 10 }, reservations: [] }, { day: { messages: 10 }, reservations: [] }])
})
