import { join } from 'node:path'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { MongoClient, ObjectId, type Db } from 'mongodb'
import t, { type Test } from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { subjectOf } from '../../src/portability/subject.ts'
import { databaseName, startApp, storeUri, temporaryFolder, type Client } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { ServerProcess } from '../server-process.ts'

const SESSIONS = 210
const PER_SESSION = 4
const PATIENCE_MS = 20_000
t.setTimeout(400_000)
t.jobs = 2

// Where an erasure can be cut off: phase, command, collection, and the how manyth of it.
const points = [
  'before findAndModify erasures 1', 'before insert erasures 1', 'sent insert erasures 1', 'after insert erasures 1',
  'before update sessions 1', 'after update sessions 1', 'sent update sessions 2', 'after delete idempotencyRecords 1',
  'after aggregate messages 1', 'before findAndModify erasures 2', 'sent findAndModify erasures 2', 'after findAndModify erasures 2',
  'sent delete messages 1', 'after delete messages 2', 'before delete sessions 1', 'after delete sessions 1', 'after delete sessions 3',
  'before findAndModify erasures 3', 'sent findAndModify erasures 3', 'after findAndModify erasures 3',
  'before delete sessions 3', 'before findAndModify erasures 8', 'sent findAndModify erasures 8', 'after findAndModify erasures 8'
]

interface Receipt { id: string, status: string, subject: string, removed: { sessions: number, messages: number } }

/** Somebody with many conversations, and somebody else with one. */
async function populate (db: Db, client: Client, configId: string, userId: string): Promise<void> {
  await client.ask('/api/sessions', { body: { configId, userId }, headers: { 'idempotency-key': userId } })
  const common = { tenantId: 'default', configId: new ObjectId(configId), userId, channel: null }
  const now = new Date()
  const sessions = Array.from({ length: SESSIONS - 1 }, () => ({
    _id: new ObjectId(),
    ...common,
    title: null,
    metadata: {},
    status: 'active',
    startedAt: now,
    lastActivity: now,
    nextSeq: PER_SESSION + 1,
    rev: PER_SESSION,
    turn: null
  }))
  await db.collection('sessions').insertMany(sessions)
  await db.collection('messages').insertMany(sessions.flatMap(({ _id }) => Array.from({ length: PER_SESSION }, (_, i) => (
    { ...common, sessionId: _id, seq: i + 1, rev: i + 1, parentId: null, role: 'user', content: 'said', timestamp: now, status: 'completed' }
  ))))
}

const ask = async (client: Client, userId: string) => await client.ask<Receipt>(`/api/end-users/${userId}`, { method: 'DELETE' })

/** Asks for an erasure, and has the process die meanwhile. Answers whether the request was, too. */
async function crash (victim: ServerProcess, client: Client, userId: string, point: string | undefined) {
  if (point !== undefined) {
    victim.child.kill('SIGUSR2')
    while (victim.logged('armed')['msg'] === undefined) await setImmediate()
  }
  const asking = ask(client, userId).then(({ status }) => status === 202, () => false)
  if (point === undefined) await delay(Math.random() * 300)
  else {
    await Promise.race([victim.ended, asking])
    // What goes on in the background dies a little later, or has come through.
    await settled(client, userId).catch(() => {})
  }
  const { stderr } = await victim.end('SIGKILL')
  return { answered: await asking, asTold: stderr === 'dying as told\n' }
}

/** The receipts for a person, once none of them runs. */
async function settled (client: Client, userId: string): Promise<Receipt[]> {
  const subject = subjectOf({ tenantId: 'default', userId })
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const { body } = await client.ask<{ data: Receipt[] }>('/api/erasures')
    const own = body.data.filter((receipt) => receipt.subject === subject)
    if (own.every(({ status }) => status === 'completed') || performance.now() > deadline) return own
    await delay(20)
  }
}

/** A run dies at each of `points`, and every fourth one at random. `survive`: starts another replica; without one, the next process goes on. */
async function eraseAgainAndAgain (
  t: Test, uri: string, place: Record<string, string>, points: string[], survive?: (env: Record<string, string>) => Promise<Client>
) {
  const runs = points.length * 4 / 3
  const [key, database] = [newApiKey(), databaseName()]
  const env = {
    ...place,
    PORT: '0',
    NODE_ENV: 'production',
    MONGODB_DATABASE: database,
    BOOTSTRAP_API_KEY: key,
    RATE_LIMIT_PER_MINUTE: '0'
  }
  const start = (run: number) => {
    const point = run % 4 === 3 ? undefined : points[run - Math.floor(run / 4)]
    return { point, victim: new ServerProcess(t, { ...env, ...(point !== undefined && { CRASH_AT: point }) }, { entry: 'test/crashing-server.ts' }) }
  }
  let [{ victim, point }, hits] = [start(0), 0]
  let client = await victim.client(key)
  const survivor = await survive?.(env)
  const configId = await client.createConfig()
  for (let run = 0; run < runs; run++) {
    const userId = `user-${run}`
    const mongo = new MongoClient(uri)
    await populate(mongo.db(database), client, configId, userId)
    await mongo.close()
    const { answered, asTold } = await crash(victim, client, userId, point)
    if (asTold) hits++
    const label = `run ${run}, ${point ?? 'at random'}`
    ;({ victim, point } = start(run + 1))
    client = await victim.client(key)
    const healer = survivor ?? client
    if (answered) {
      const { body } = await healer.ask<{ data: unknown[] }>(`/api/sessions?userId=${userId}`)
      t.strictSame(body.data, [], `${label}: what was answered holds`)
    } else await ask(healer, userId)
    const receipts = await settled(healer, userId)
    const sum = (of: keyof Receipt['removed']) => receipts.reduce((total, { removed }) => total + removed[of], 0)
    t.strictSame([sum('sessions'), sum('messages')], [SESSIONS, (SESSIONS - 1) * PER_SESSION], `${label}: counted exactly`)
    const again = new MongoClient(uri)
    const db = again.db(database)
    for (const name of ['sessions', 'messages', 'changes', 'erasures']) {
      t.equal(await db.collection(name).countDocuments({ userId }), 0, `${label}: nothing is left in ${name}`)
    }
    const subject = subjectOf({ tenantId: 'default', userId })
    t.equal(await db.collection('idempotencyRecords').countDocuments({ subject }), 0, `${label}: no answer is left`)
    await again.close()
    t.strictSame(await checkLedger(uri, database), [], label)
  }
  t.ok(hits > runs * 0.4, `${hits} of ${runs} died where they were told to`)
  await victim.end()
}

t.test('an erasure that is killed goes on when the process is there again', async (t) => {
  const dataDir = await temporaryFolder(t)
  const uri = `mongodb://${encodeURIComponent(join(dataDir, 'mongodb.sock'))}/?directConnection=true`
  await eraseAgainAndAgain(t, uri, { DATA_DIR: dataDir }, points.slice(0, 15))
})

t.test('an erasure that is killed beside a replica is asked for again there', async (t) => {
  const uri = await storeUri()
  const place = { DATA_DIR: await temporaryFolder(t), MONGODB_URI: uri }
  await eraseAgainAndAgain(t, uri, place, points.slice(15), async (env) => (await startApp(t, env)).client)
})
