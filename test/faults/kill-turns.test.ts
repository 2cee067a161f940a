import { join } from 'node:path'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { MongoClient, type Db } from 'mongodb'
import t, { type Test } from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { databaseName, startApp, storeUri, temporaryFolder, type Client } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { type MessageView } from '../replicas.ts'
import { ServerProcess } from '../server-process.ts'
import { startTestSim } from '../sim.ts'

const LEASE_MS = 1000
const SETTLED_MS = LEASE_MS + 10_000
t.setTimeout(600_000)
t.jobs = 2

// Where a turn and a creation can be cut off: phase, command, collection, and the how manyth of it.
const points = [
  'before findAndModify sessions 1', 'sent findAndModify sessions 1', 'after findAndModify sessions 1', 'after bulkWrite 1 3',
  'before insert messages 1', 'sent insert messages 1', 'after insert messages 1', 'after bulkWrite 1 2',
  'after update messages 1', 'before update messages 2', 'after update messages 2',
  'before bulkWrite 1 1', 'sent bulkWrite 1 1', 'after bulkWrite 1 1', 'sent bulkWrite 1 2',
  'before update sessions 1', 'sent update sessions 1', 'after update sessions 1',
  'before insert usageEvents 1', 'after insert usageEvents 1', 'after update quotaCounters 1', 'after findAndModify quotaCounters 2',
  'after insert idempotencyRecords 1', 'sent insert sessions 1', 'after insert configs 1', 'before update idempotencyRecords 1'
]

interface Exchange { userMessage: MessageView, botMessage: MessageView }

/** Something that was asked of the process that died, and what it had said of it. */
interface Attempt {
  readonly path: string
  readonly body: { message: string }
  readonly headers: Record<string, string>
  acknowledged?: Exchange
  /** The reply was said to be complete. */
  done: boolean
}

type Settings = Awaited<ReturnType<typeof setUp>>

async function setUp (t: Test, uri: string, place: Record<string, string>) {
  const sim = await startTestSim(t, { cadence: { chunkDelayMs: 15 } })
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
    TURN_LEASE_MS: String(LEASE_MS),
    STREAM_FLUSH_MS: '30',
    QUOTA_TENANT_TOKENS_PER_MONTH: '1000000000'
  }
  return { key, uri, database, env }
}

async function send (client: Client, attempt: Attempt): Promise<void> {
  const { path, body, headers } = attempt
  if (headers['accept'] === undefined) {
    const { status, body: exchange } = await client.ask<Exchange & { reply?: string }>(`${path}?onBusy=queue`, { body, headers })
    if (status !== 200 && status !== 202) throw new Error(`${status} ${JSON.stringify(exchange)}`)
    attempt.acknowledged = exchange
    attempt.done = status === 200
    return
  }
  const { events } = await client.events(path, { body, headers })
  for await (const { event, data } of events) {
    if (event === 'message.started') attempt.acknowledged = data as unknown as Exchange
    attempt.done = event === 'message.completed'
  }
}

/** One run: everything at once, and the process is killed meanwhile. */
async function crash (victim: ServerProcess, { key }: Settings, sessions: string[], run: number, point: string | undefined) {
  const client = await victim.client(key)
  const attempt = (session: string, name: string, headers: Record<string, string> = {}): Attempt => ({
    path: `/api/sessions/${session}/messages`,
    body: { message: `${name} of run ${run}: one two three four five six seven` },
    headers: { 'idempotency-key': `${name}-${run}`, ...headers },
    done: false
  })
  const [first, second, third] = sessions as [string, string, string]
  const attempts = [
    attempt(first, 'first'), attempt(first, 'second'),
    attempt(second, 'streamed', { accept: 'text/event-stream' }), attempt(third, 'accepted', { prefer: 'respond-async' })
  ]
  if (point !== undefined) {
    victim.child.kill('SIGUSR2')
    while (victim.logged('armed')['msg'] === undefined) await setImmediate()
  }
  const created = [create(client, '/api/configs', run, { purpose: 'Help.' })]
  const settled = Promise.allSettled([...attempts.map(async (attempt) => await send(client, attempt)), ...created])
  if (point === undefined) await delay(Math.random() * 500)
  else await settled
  const { stderr } = await victim.end('SIGKILL')
  await settled
  return { attempts, asTold: stderr === 'dying as told\n' }
}

async function create (client: Client, path: string, run: number, body: object) {
  const headers = { 'idempotency-key': `create-${run}` }
  return await client.ask<{ id: string }>(path, { body: { ...body, name: `run ${run}` }, headers })
}

/** Nothing that was acknowledged is lost, every turn ends, and the same key gives exactly one reply. */
async function heal (t: Test, client: Client, attempts: Attempt[], label: string): Promise<void> {
  const deadline = performance.now() + SETTLED_MS
  await Promise.all(attempts.map(async ({ path, body, headers, acknowledged, done }) => {
    if (headers['prefer'] !== undefined && acknowledged) {
      // This one is left to the reaper.
      let message: MessageView
      do {
        message = (await client.ask<MessageView>(`${path}/${acknowledged.botMessage.id}`)).body
        await delay(50)
      } while (message.status === 'streaming' && performance.now() < deadline)
      t.ok(['completed', 'interrupted'].includes(message.status), `${label}: the turn has ended`)
    }
    const key = { 'idempotency-key': headers['idempotency-key']! }
    const again = async () => await client.ask<Exchange>(`${path}?onBusy=queue`, { body, headers: key })
    let healed = await again()
    // The turn of the process that died was still held to be running; now it has ended, and can be run again.
    while (healed.status === 503 && performance.now() < deadline) healed = await again()
    t.match(healed, { status: 200, body: { botMessage: { status: 'completed' } } }, `${label}: the same key gets its reply`)
    const { userMessage, botMessage } = healed.body
    if (acknowledged) t.equal(userMessage.id, acknowledged.userMessage.id, `${label}: what was acknowledged is there`)
    if (acknowledged && done) t.equal(botMessage.id, acknowledged.botMessage.id, `${label}: what was complete is not run again`)
    t.equal((await again()).body.botMessage.id, botMessage.id)
  }))
  t.ok(performance.now() < deadline, `${label}: all is settled in time`)
}

async function openSessions (client: Client): Promise<string[]> {
  const configId = await client.createConfig()
  return await Promise.all(Array.from({ length: 3 }, async () => await client.createSession(configId)))
}

/** Many runs on one store. `survivor`: another replica; without one, the next process cleans up. */
async function crashAgainAndAgain (t: Test, settings: Settings, runs: number, survivor?: Client): Promise<void> {
  const { env, uri, database } = settings
  const named = (run: number) => run % 2 === 0 ? points[run / 2 % points.length] : undefined
  const start = (run: number) => {
    const point = named(run)
    return new ServerProcess(t, { ...env, ...(point !== undefined && { CRASH_AT: point }) }, { entry: 'test/crashing-server.ts' })
  }
  let [victim, hits, sessions] = [start(0), 0, [] as string[]]
  for (let run = 0; run < runs; run++) {
    if (run === 0) sessions = await openSessions(await victim.client(settings.key))
    const point = named(run)
    const { attempts, asTold } = await crash(victim, settings, sessions, run, point)
    if (asTold) hits++
    victim = start(run + 1)
    const healer = survivor ?? await victim.client(settings.key)
    const label = `run ${run}, ${point ?? 'at random'}`
    await heal(t, healer, attempts, label)
    const created = await create(healer, '/api/configs', run, { purpose: 'Help.' })
    t.equal(created.status, 201, label)
    t.equal(await count(uri, database, 'configs', { name: `run ${run}` }), 1, `${label}: created once`)
    // Who dies between the end of a reply and the release of its turn leaves that to the lease.
    const deadline = performance.now() + SETTLED_MS
    while (await count(uri, database, 'sessions', { turn: { $ne: null } }) > 0 && performance.now() < deadline) await delay(50)
    t.strictSame(await checkLedger(uri, database, { deterministic: true }), [], label)
  }
  t.ok(hits > runs * 0.4, `${hits} of ${runs} died where they were told to`)
  const recorded = async () => await checkLedger(uri, database, { deterministic: true, recorded: true })
  const deadline = performance.now() + SETTLED_MS
  while ((await recorded()).length > 0 && performance.now() < deadline) await delay(100)
  t.strictSame(await recorded(), [], 'what was used is in the ledger, once, and counted')
  t.ok(await count(uri, database, 'usageEvents', {}) > runs)
  await victim.end()
}

async function count (uri: string, database: string, collection: string, filter: object): Promise<number> {
  const client = new MongoClient(uri)
  const db: Db = client.db(database)
  return await db.collection(collection).countDocuments(filter).finally(() => client.close())
}

t.test('killed 50 times with its store in it', async (t) => {
  const dataDir = await temporaryFolder(t)
  const uri = `mongodb://${encodeURIComponent(join(dataDir, 'mongodb.sock'))}/?directConnection=true`
  await crashAgainAndAgain(t, await setUp(t, uri, { DATA_DIR: dataDir }), 50)
})

t.test('killed 50 times beside a replica on the same store', async (t) => {
  const uri = await storeUri()
  const settings = await setUp(t, uri, { DATA_DIR: await temporaryFolder(t), MONGODB_URI: uri })
  const { client } = await startApp(t, settings.env)
  await crashAgainAndAgain(t, settings, 50, client)
})
