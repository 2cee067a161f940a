import { setTimeout as delay } from 'node:timers/promises'
import { MongoClient, ObjectId } from 'mongodb'
import t from 'tap'
import { databaseName, storeUri } from '../helper.ts'
import { ServerProcess } from '../server-process.ts'

const SESSIONS = 1200
const done = { rev: { $exists: true } }
const outdated = { rev: { $exists: false } }

t.test('two processes migrate at once, one is killed in the middle of it, and the other ends it', async (t) => {
  const env = { MONGODB_URI: await storeUri(), MONGODB_DATABASE: databaseName() }
  const client = new MongoClient(env.MONGODB_URI)
  const db = client.db(env.MONGODB_DATABASE)
  t.teardown(async () => {
    await db.dropDatabase()
    await client.close()
  })
  const [sessions, messages] = [db.collection('sessions'), db.collection('messages')]
  const ids = Array.from({ length: SESSIONS }, () => new ObjectId())
  await sessions.insertMany(ids.map((_id) => ({ _id, tenantId: 'default' })))
  await messages.insertMany(ids.flatMap((sessionId) => [1, 2].map((seq) => ({ sessionId, tenantId: 'default', seq, timestamp: new Date() }))))

  const processes = [1, 2].map(() => new ServerProcess(t, env, { entry: 'src/migrate/main.ts' }))
  const waiting = () => processes.find(({ stdout }) => stdout.includes('another process brings the data up to date'))
  while (!waiting() || await sessions.countDocuments(done) === 0) await delay(5)
  const second = waiting()!
  const first = processes.find((process) => process !== second)!
  t.match(await first.end('SIGKILL'), { code: null }, 'it was in the middle of it')
  const before = await sessions.find(done).sort({ _id: 1 }).toArray()
  t.ok(before.length < SESSIONS, `${before.length} sessions were done`)

  t.match(await second.ended, { code: 0, stderr: '', stdout: /the data went through lines[^]*up to date/ })
  t.same([await sessions.countDocuments(outdated), await messages.countDocuments(outdated)], [0, 0])
  t.same(await sessions.find({ _id: { $in: before.map(({ _id }) => _id) } }).sort({ _id: 1 }).toArray(), before, 'what was done stayed')
  t.same((await db.collection('migrations').find().sort({ doneAt: 1 }).toArray()).map(({ _id }) => String(_id)), ['lines', 'api-key-ids'])
  t.equal(await db.collection('leases').countDocuments(), 0)
})
