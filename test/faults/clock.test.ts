import { globSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { ObjectId } from 'mongodb'
import t from 'tap'
import { bearer, JWT_SECRET } from '../edge.ts'
import { allOf, startApp, type Client } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { modelAt, replicaEnv, type MessageView } from '../replicas.ts'
import { ServerProcess } from '../server-process.ts'
import { startTestSim, StepClock } from '../sim.ts'

const LEASE_MS = 400
const TEN_MINUTES_MS = 600_000
const [library] = globSync('/usr/lib/*/faketime/libfaketime.so.1')
t.setTimeout(120_000)

t.test('replicas whose clocks are ten minutes off', { skip: library === undefined && 'there is no faketime' }, async (t) => {
  const clock = new StepClock()
  const sim = await startTestSim(t, { clock, cadence: { chunkDelayMs: 20 } })
  const { key, uri, database, env } = await replicaEnv(t, {
    ...modelAt(sim.url), JWT_SECRET, TURN_LEASE_MS: String(LEASE_MS), STREAM_FLUSH_MS: '30'
  })
  const { client: right, db } = await startApp(t, env)
  const off = (minutes: string) => new ServerProcess(t, {
    ...env, FAKETIME: `${minutes}m`, LD_PRELOAD: library!, DONT_FAKE_MONOTONIC: '1'
  })
  const processes = [off('+10'), off('-10')]
  const [ahead, behind] = await Promise.all(processes.map(async (process) => await process.client(key))) as [Client, Client]
  const all = [right, ahead, behind]

  for (const [client, offset] of [[ahead, TEN_MINUTES_MS], [behind, -TEN_MINUTES_MS]] as const) {
    const { body } = await client.ask<{ createdAt: string }>('/api/configs', { body: { purpose: 'Help.' } })
    t.ok(Math.abs(Date.parse(body.createdAt) - Date.now() - offset) < TEN_MINUTES_MS / 2, 'they are')
  }

  /** Waits until the turn of a session has been renewed for several leases since `from`. */
  const outlive = async (session: string) => {
    const leaseUntil = async () =>
      (await db.collection('sessions').findOne<{ turn: { leaseUntil: Date } }>({ _id: new ObjectId(session) }))!.turn.leaseUntil.getTime()
    const first = await leaseUntil()
    while (await leaseUntil() < first + 3 * LEASE_MS) await setImmediate()
  }

  for (const [name, owner] of [['right', right], ['ahead', ahead], ['behind', behind]] as const) {
    const session = await owner.converse()
    const path = `/api/sessions/${session}/messages`
    const events = owner.events(path, { body: { message: 'one two three four five six' } })
    await clock.step(3)
    const streamed = allOf((await events).events)
    await outlive(session)
    for (const other of all) {
      t.match(await other.ask(path, { body: { message: 'Mine!' } }), { status: 409, body: { code: 'session_busy' } }, `${name}: is not stolen from`)
    }
    await outlive(session)
    const waiting = all.map(async (client) => await client.ask(`${path}?onBusy=queue`, { body: { message: 'after you' } }))
    await outlive(session)
    const lasts = Promise.all([streamed, ...waiting])
    const ended = lasts.then(() => true)
    while (!await Promise.race([clock.step().then(() => false), ended])) continue
    const [told, ...answers] = await lasts
    t.equal(told.at(-1)!.event, 'message.completed', `${name}: loses nothing`)
    t.match(answers.map(({ status }) => status), [200, 200, 200], `${name}: who waits in line is served`)
  }

  const session = await ahead.converse()
  const path = `/api/sessions/${session}/messages`
  const events = allOf((await behind.events(path, { body: { message: 'one two three four' } })).events)
  await clock.step(2)
  const { body: { data: [, bot] } } = await right.ask<{ data: MessageView[] }>(path)
  t.match(await ahead.ask(`${path}/${bot!.id}/stop`, { method: 'POST' }), { status: 200, body: { status: 'stopped' } })
  t.equal((await events).at(-1)!.event, 'message.stopped')
  clock.run()

  const users = all.map((client) => bearer(client, { sub: 'someone', scope: 'chat', exp: Math.floor(Date.now() / 1000) + 1200 }))
  for (const user of users) t.match(await user.ask('/api/sessions'), { status: 200 }, 'a token that is good for twenty minutes is good everywhere')
  const configId = await right.createConfig()
  const created = await Promise.all(all.map(async (client) =>
    await client.ask<{ id: string }>('/api/sessions', { body: { configId }, headers: { 'idempotency-key': 'everywhere' } })))
  t.equal(new Set(created.map(({ status, body: { id } }) => `${status} ${id}`)).size, 1, 'a key is known everywhere')

  await Promise.all(processes.map(async (process) => t.equal((await process.end()).code, 0)))
  t.strictSame(await checkLedger(uri, database), [])
})
