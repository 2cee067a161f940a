import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Db, MongoClient, ObjectId } from 'mongodb'
import t, { type Test } from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { checkBackup } from '../../src/backup/restore.ts'
import { openStore } from '../../src/store/store.ts'
import { BusyPeople } from '../busy-people.ts'
import { databaseName, storeUri, temporaryFolder } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { ServerProcess } from '../server-process.ts'
import { startTestSim } from '../sim.ts'

const LEASE_MS = 2000
const SETTLED_MS = 60_000
const PEOPLE = 12
t.setTimeout(300_000)

type Environment = Record<string, string>

const root = new URL('../..', import.meta.url).pathname
const socketOf = (dataDir: string) => `mongodb://${encodeURIComponent(join(dataDir, 'mongodb.sock'))}/?directConnection=true`

/** A command of ours in a process of its own. */
function command (env: Environment, ...args: string[]) {
  const child = spawn(process.execPath, ['src/backup/main.ts', ...args], { cwd: root, env: { ...process.env, MONGODB_URI: '', ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, output }))
  return { child, ended }
}

async function run (t: Test, env: Environment, ...args: string[]): Promise<void> {
  const { code, output } = await command(env, ...args).ended
  t.equal(code, 0, output.trim())
}

/** Kills a command as soon as it has come so far. */
async function killWhen (t: Test, { child, ended }: ReturnType<typeof command>, condition: () => boolean | Promise<boolean>): Promise<void> {
  while (child.exitCode === null && !await condition()) await delay(2)
  t.ok(child.kill('SIGKILL'), 'it is in the middle of it')
  t.match(await ended, { code: null })
}

async function withDatabase<T> (uri: string, database: string, work: (db: Db) => Promise<T>): Promise<T> {
  const client = new MongoClient(uri)
  try {
    return await work(client.db(database))
  } finally {
    await client.close()
  }
}

/** What was said long ago. */
async function addOldSessions (db: Db, configId: string, sessions: number): Promise<void> {
  const size = 50
  const common = { tenantId: 'default', configId: new ObjectId(configId), userId: null, channel: null }
  for (let n = 0; n < sessions; n++) {
    const [sessionId, ids] = [new ObjectId(), Array.from({ length: size }, () => new ObjectId())]
    const timestamp = new Date(Date.now() - 86_400_000)
    const messages = ids.map((_id, i) => ({
      _id,
      ...common,
      sessionId,
      seq: i + 1,
      rev: Math.floor(i / 2) + 1,
      parentId: ids[i - 1] ?? null,
      timestamp,
      content: `Said ${i} in ${n}.`,
      status: 'completed',
      ...(i % 2 === 0
        ? { role: 'user' }
        : { role: 'bot', replyTo: ids[i - 1], endedAt: timestamp, usage: { promptTokens: 1, completionTokens: 1, totalTokens: 2 }, latency: { totalMs: 1 } })
    }))
    await db.collection('messages').insertMany(messages)
    await db.collection('sessions').insertOne({
      _id: sessionId, ...common, title: null, metadata: {}, status: 'active', startedAt: timestamp, lastActivity: timestamp, nextSeq: size + 1, rev: size / 2, tipId: ids.at(-1)!, turn: null
    })
  }
}

/** What was acknowledged before a backup is there, and all that is there fits together, once people have gone on. */
async function prove (t: Test, server: ServerProcess, key: string, [uri, database]: readonly [string, string], expected: ReadonlyMap<string, string>): Promise<void> {
  const client = await server.client(key)
  const ids = [...expected.keys()].map((id) => new ObjectId(id))
  await withDatabase(uri, database, async (db) => {
    const found = await db.collection('messages').find({ _id: { $in: ids } }).toArray()
    const contents = new Map(found.map(({ _id, content }) => [String(_id), content as string]))
    t.same([...expected].filter(([id, content]) => contents.get(id) !== content), [], `${database}: ${expected.size} messages had been acknowledged`)
    // A turn whose messages had not been written yet is given back by the next one.
    const held = await db.collection('sessions').find({ status: 'active', turn: { $ne: null } }).project({ _id: 1 }).toArray()
    t.comment(`${held.length} turns were going on`)
    const again = async (id: ObjectId) => await client.ask(`/api/sessions/${String(id)}/messages?onBusy=queue`, { body: { message: 'Are you there?' } })
    t.same((await Promise.all(held.map(async ({ _id }) => await again(_id as ObjectId)))).filter(({ status }) => status !== 200), [])
  })
  const deadline = performance.now() + SETTLED_MS
  let violations: string[]
  do {
    await delay(500)
    violations = await checkLedger(uri, database, { recorded: true })
  } while (violations.length > 0 && performance.now() < deadline)
  t.same(violations, [], `${database}: the ledger is clean`)
}

t.test('backups of a busy server have what was acknowledged before they began; what is cut off is not taken for a whole one', async (t) => {
  const [sim, folder, uri] = await Promise.all([startTestSim(t, { cadence: { chunkDelayMs: 5 } }), temporaryFolder(t), storeUri()])
  const [dataDir, key, database, other] = [join(folder, 'data'), newApiKey(), 'parley', databaseName()]
  t.teardown(async () => await withDatabase(uri, other, async (db) => await db.dropDatabase()))
  const settings = {
    PORT: '0',
    NODE_ENV: 'production',
    MISTRAL_BASE_URL: sim.url,
    MISTRAL_API_KEY: 'sim',
    BOOTSTRAP_API_KEY: key,
    RATE_LIMIT_PER_MINUTE: '0',
    TURN_LEASE_MS: String(LEASE_MS),
    QUOTA_TENANT_TOKENS_PER_MONTH: '1000000000'
  }
  const server = new ServerProcess(t, { ...settings, DATA_DIR: dataDir })
  const client = await server.client(key)
  const configIds = [await client.createConfig(), await client.createConfig()]
  await withDatabase(socketOf(dataDir), database, async (db) => await addOldSessions(db, configIds[0]!, 200))

  const people = new BusyPeople(client, configIds, PEOPLE)
  const until = async (sent: number) => { while (people.sent < sent) await delay(10) }
  await until(50)
  const atMoment = new Map(people.kept)
  await run(t, { DATA_DIR: dataDir }, 'backup', '--to', join(folder, 'moment'))
  const whileMoving = new Map(people.kept)
  await run(t, { MONGODB_URI: socketOf(dataDir), MONGODB_DATABASE: database }, 'backup', '--to', join(folder, 'moving'))
  await until(people.sent + 20)

  const cutOff = join(folder, 'cut-off')
  await killWhen(t, command({ DATA_DIR: dataDir }, 'backup', '--to', cutOff), () => existsSync(join(`${cutOff}.partial`, 'messages.bson.zst')))
  t.notOk(existsSync(cutOff), 'half a backup does not bear the name')
  await t.rejects(checkBackup(`${cutOff}.partial`), { message: /is no backup/ })
  people.stop()
  await server.end('SIGKILL')
  await people.stopped()
  t.comment(`${people.sent} messages were answered`)
  // Who has asked for the removal of a message may have got it.
  for (const expected of [atMoment, whileMoving]) for (const id of expected.keys()) if (!people.kept.has(id)) expected.delete(id)

  const restored = join(folder, 'restored')
  await mkdir(restored)
  await killWhen(t, command({ DATA_DIR: restored }, 'restore', '--from', join(folder, 'moment')), () => existsSync(join(restored, 'replacement', 'store.mdb')))
  t.match(await new ServerProcess(t, { ...settings, DATA_DIR: restored }).ended, { code: 1, stderr: /a restore into \S+ has not ended; restore again/ })
  await run(t, { DATA_DIR: restored }, 'restore', '--from', join(folder, 'moment'))

  const elsewhere = { MONGODB_URI: uri, MONGODB_DATABASE: other }
  await withDatabase(uri, other, async (db) => {
    await killWhen(t, command(elsewhere, 'restore', '--from', join(folder, 'moving')), async () => await db.collection('messages').findOne() !== null)
    await t.rejects(openStore(db), { message: /has half of a backup/ })
  })
  await run(t, elsewhere, 'restore', '--from', join(folder, 'moving'))

  await Promise.all(([
    [{ DATA_DIR: restored }, [socketOf(restored), database], atMoment],
    [{ ...elsewhere, DATA_DIR: folder }, [uri, other], whileMoving]
  ] as const).map(async ([env, place, expected]) => {
    const after = new ServerProcess(t, { ...settings, ...env })
    await prove(t, after, key, place, expected)
    await after.end()
  }))
})
