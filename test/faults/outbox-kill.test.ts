import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Db, MongoClient, ObjectId } from 'mongodb'
import t, { type Test } from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { type Client, databaseName, startApp, storeUri, temporaryFolder } from '../helper.ts'
import { ServerProcess } from '../server-process.ts'
import { startTestSim } from '../sim.ts'

const RUNS = 4
const SESSIONS = 8
// At most so many replies are complete when the process is killed.
const REPLIES = 24
const LEASE_MS = 1000
// A lease, two sweeps, and a machine that is busy.
const PATIENCE_MS = 90_000
t.setTimeout(300_000)
t.jobs = 2

async function withDb<T> (uri: string, database: string, work: (db: Db) => Promise<T>): Promise<T> {
  const client = new MongoClient(uri)
  return await work(client.db(database)).finally(async () => await client.close())
}

/** An endpoint that wants everything and is never asked, because this server has no keys to keep its secret. */
async function addEndpoint (db: Db): Promise<void> {
  const now = new Date()
  await db.collection('webhookEndpoints').insertOne({
    _id: new ObjectId(),
    tenantId: 'default',
    url: 'https://receiver.example/',
    description: null,
    events: [],
    status: 'enabled',
    disabledReason: null,
    disabledAt: null,
    failingSince: null,
    createdAt: now,
    updatedAt: now,
    secret: 'none',
    previous: null
  })
}

/** What has happened and what of it is on its way, by the ids of events where a cause gives them, and by session or version elsewhere. */
async function compare (db: Db): Promise<{ readonly happened: string[], readonly told: string[], readonly left: number }> {
  const [messages, sessions, configs, deliveries] = await Promise.all([
    db.collection('messages').find({ role: 'bot' }).toArray(),
    db.collection('sessions').find().toArray(),
    db.collection('configs').find().toArray(),
    db.collection<{ eventId: string, type: string, body: string }>('webhookDeliveries').find().toArray()
  ])
  const happened = [
    ...messages.map(({ _id, status }) => `${status === 'completed' ? 'message.completed' : 'message.failed'} evt_${String(_id)}`),
    ...sessions.map(({ _id }) => `session.started ${String(_id)}`),
    ...configs.flatMap(({ _id, version }) => Array.from({ length: Number(version) }, (_, i) => `config.changed ${String(_id)} ${i + 1}`))
  ]
  const told = deliveries.map(({ eventId, type, body }) => {
    const { data } = JSON.parse(body) as { data: { session?: { id: string }, configId: string, version?: number } }
    if (type.startsWith('message.')) return `${type} ${eventId}`
    return data.session ? `${type} ${data.session.id}` : `${type} ${data.configId} ${data.version ?? 'none'}`
  })
  const isStreaming = messages.some(({ status }) => status === 'streaming')
  const left = messages.filter(({ unrecorded }) => unrecorded).length +
    [...sessions, ...configs].filter(({ outboxSince }) => outboxSince).length + (isStreaming ? 1 : 0)
  return { happened: happened.sort(), told: told.sort(), left }
}

/** Everything at once, until the process is killed. */
async function converse (client: Client, configId: string, run: number, onReply: () => void): Promise<void> {
  await Promise.allSettled([
    client.ask(`/api/configs/${configId}`, {
      method: 'PATCH', body: { purpose: `Help ${run}.` }, headers: { 'content-type': 'application/merge-patch+json' }
    }),
    ...Array.from({ length: SESSIONS }, async (_, i) => {
      const session = await client.createSession(configId)
      for (;;) {
        await client.ask(`/api/sessions/${session}/messages`, { body: { message: `one two three ${i}` } })
        onReply()
      }
    })
  ])
}

async function killAgainAndAgain (t: Test, uri: string, place: Record<string, string>, beside?: (env: Record<string, string>) => Promise<unknown>) {
  const sim = await startTestSim(t, { cadence: { chunkDelayMs: 3 } })
  const [key, database] = [newApiKey(), databaseName()]
  const env = {
    ...place,
    PORT: '0',
    NODE_ENV: 'production',
    MONGODB_DATABASE: database,
    MISTRAL_BASE_URL: sim.url,
    MISTRAL_API_KEY: 'sim',
    BOOTSTRAP_API_KEY: key,
    RATE_LIMIT_PER_MINUTE: '0',
    TURN_LEASE_MS: String(LEASE_MS)
  }
  let victim = new ServerProcess(t, env)
  await victim.client(key)
  await withDb(uri, database, addEndpoint)
  // Who starts now knows of it.
  await victim.end()
  victim = new ServerProcess(t, env)
  await beside?.(env)
  const configId = await (await victim.client(key)).createConfig()
  for (let run = 0; run < RUNS; run++) {
    let left = 1 + Math.floor(Math.random() * REPLIES)
    const enough = Promise.withResolvers<void>()
    const conversing = converse(await victim.client(key), configId, run, () => { if (--left === 0) enough.resolve() })
    await enough.promise
    await delay(Math.random() * 30)
    await victim.end('SIGKILL')
    await conversing
    victim = new ServerProcess(t, env)
    await victim.client(key)
  }
  const deadline = performance.now() + PATIENCE_MS
  let found = await withDb(uri, database, compare)
  while (found.left > 0 && performance.now() < deadline) {
    await delay(200)
    found = await withDb(uri, database, compare)
  }
  t.strictSame(found.told, found.happened, 'all that has happened is on its way, once')
  t.ok(found.told.filter((event) => event.startsWith('message.completed')).length >= RUNS, `${found.told.length} events`)
  t.ok(found.told.some((event) => event.startsWith('message.failed')), 'also what a kill has cut off')
  t.equal(found.left, 0, 'and nothing is left of it')
  await victim.end()
}

t.test(`killed ${RUNS} times with its store in it`, async (t) => {
  const dataDir = await temporaryFolder(t)
  await killAgainAndAgain(t, `mongodb://${encodeURIComponent(join(dataDir, 'mongodb.sock'))}/?directConnection=true`, { DATA_DIR: dataDir })
})

t.test(`killed ${RUNS} times beside a replica on the same store`, async (t) => {
  const uri = await storeUri()
  await killAgainAndAgain(t, uri, { DATA_DIR: await temporaryFolder(t), MONGODB_URI: uri }, async (env) => await startApp(t, env))
})
