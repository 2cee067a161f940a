import { setTimeout as delay } from 'node:timers/promises'
import { ObjectId, type Db } from 'mongodb'
import t from 'tap'
import { startApp } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { replicaEnv } from '../replicas.ts'
import { ServerProcess } from '../server-process.ts'

const DAY_MS = 86_400_000
const OLD = 120
const LIVING = 20
const HELD = 12
const PATIENCE_MS = 60_000
t.setTimeout(300_000)

// Where a run is killed; the one after it goes on.
const points = ['sent update sessions 2', 'after delete messages 2', 'after findAndModify sessions 1', 'after update messages 2']

/** Sessions in which so much was said long ago, and so much lately. */
async function populate (db: Db, configId: string, count: number, userId: string, { old, young }: { old: number, young: number }): Promise<string[]> {
  const common = { tenantId: 'default', configId: new ObjectId(configId), userId, channel: null }
  const [now, then] = [new Date(), new Date(Date.now() - 40 * DAY_MS)]
  const total = old + young
  const sessions = Array.from({ length: count }, () => {
    const ids = Array.from({ length: total }, () => new ObjectId())
    const session = {
      _id: new ObjectId(),
      ...common,
      title: null,
      metadata: {},
      status: 'active',
      startedAt: then,
      lastActivity: young > 0 ? now : then,
      nextSeq: total + 1,
      rev: total,
      tipId: ids.at(-1)!,
      turn: null
    }
    return { session, ids }
  })
  await db.collection('sessions').insertMany(sessions.map(({ session }) => session))
  await db.collection('messages').insertMany(sessions.flatMap(({ session, ids }) => ids.map((_id, i) => (
    {
      _id, ...common, sessionId: session._id, seq: i + 1, rev: i + 1, parentId: ids[i - 1] ?? null, role: 'user', content: 'said', timestamp: i < old ? then : now, status: 'completed'
    }
  ))))
  return sessions.map(({ session }) => session._id.toHexString())
}

t.test('killed again and again, retention removes all that is due and nothing that is held', async (t) => {
  const { key, uri, database, env } = await replicaEnv(t)
  const { client, db } = await startApp(t, env)
  const configId = await client.createConfig()
  const held = await populate(db, configId, HELD, 'held', { old: 20, young: 0 })
  const due = await populate(db, configId, OLD, 'somebody', { old: 20, young: 0 })
  const living = await populate(db, configId, LIVING, 'somebody', { old: 60, young: 2 })
  await client.ask('/api/legal-holds', { body: { scope: 'user', userId: 'held', reason: 'x' } })
  t.equal((await client.ask('/api/retention', { method: 'PUT', body: { sessionsDays: 30, messagesDays: 30, deliveryLogsDays: 1 } })).status, 200)
  const { insertedIds } = await db.collection('usageEvents').insertMany(due.map((source) => ({ source, tenantId: 'default' })))
  const left = async (ids: string[], name = 'sessions') =>
    await db.collection(name).countDocuments({ [name === 'sessions' ? '_id' : 'sessionId']: { $in: ids.map((id) => new ObjectId(id)) } })

  /** On another replica: holds what is there yet, until it is told to stop. What is answered with 201 must stay. */
  const kept: string[] = []
  const holding = { isWanted: true }
  const holder = (async () => {
    for (const session of due.toReversed()) {
      if (!holding.isWanted) return
      const { status } = await client.ask('/api/legal-holds', { body: { scope: 'session', sessionId: session, reason: 'x' } })
      if (status === 201) kept.push(session)
      else if (status !== 404) t.fail(`a hold: ${status}`)
      await delay(100)
    }
  })()

  let deaths = 0
  const start = (point?: string) => new ServerProcess(t, { ...env, RETENTION: 'now', ...(point !== undefined && { CRASH_AT: point }) }, { entry: 'test/crashing-server.ts' })
  for (const point of points) {
    const victim = start(point)
    await victim.client(key)
    victim.child.kill('SIGUSR2')
    await Promise.race([victim.ended, delay(3000)])
    const { stderr } = await victim.end('SIGKILL')
    if (stderr === 'dying as told\n') deaths++
    // As if its time had run out.
    await db.collection<{ _id: string }>('leases').deleteOne({ _id: 'retention' })
    t.equal(await left(held), HELD, point)
  }
  holding.isWanted = false
  await holder
  const last = start()
  await last.client(key)
  last.child.kill('SIGUSR2')
  const isDone = async () => await left(due) === kept.length && await left(living, 'messages') === LIVING * 2
  for (const deadline = performance.now() + PATIENCE_MS; !await isDone() && performance.now() < deadline;) await delay(20)
  await last.end()

  t.ok(deaths > points.length / 2, `${deaths} of ${points.length} died where they were told to`)
  t.strictSame([await left(due), await left(due, 'messages')], [kept.length, kept.length * 20], 'what is due is gone, but for what was held in time')
  t.ok(kept.length > 0, `${kept.length} were held meanwhile`)
  t.strictSame([await left(kept), await left(kept, 'messages')], [kept.length, kept.length * 20])
  t.strictSame([await left(held), await left(held, 'messages')], [HELD, HELD * 20])
  t.strictSame([await left(living), await left(living, 'messages')], [LIVING, LIVING * 2])
  t.equal(await db.collection('usageEvents').countDocuments({ _id: { $in: Object.values(insertedIds) } }), OLD)
  await db.collection('usageEvents').deleteMany({ _id: { $in: Object.values(insertedIds) } })
  t.strictSame(await checkLedger(uri, database), [])
})
