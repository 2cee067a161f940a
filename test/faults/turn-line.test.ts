import { setImmediate } from 'node:timers/promises'
import { ObjectId } from 'mongodb'
import t from 'tap'
import { allOf, startApp, type Answer, type TestApp } from '../helper.ts'
import { history, leaveTurn, startReplicas, writeMessages, type MessageView } from '../replicas.ts'
import { startAppWithSim, StepClock, type TestAppWithSim } from '../sim.ts'

interface Reply { code?: string, userMessage: MessageView, botMessage: MessageView }

const inAnHour = () => new Date(Date.now() + 3_600_000)

const sessionOf = async ({ db }: TestApp, session: string) => (await db.collection<{ tickets?: unknown[] }>('sessions').findOne({ _id: new ObjectId(session) }))!
const ticketsOf = async (app: TestApp, session: string) => (await sessionOf(app, session)).tickets ?? []

/** Sends a message and comes back when it waits in line. */
async function queueUp (app: TestApp, session: string, message: string, query = '?onBusy=queue', headers: Record<string, string> = {}) {
  const before = (await ticketsOf(app, session)).length
  const answer = app.client.ask<Reply>(`/api/sessions/${session}/messages${query}`, { body: { message }, headers })
  while ((await ticketsOf(app, session)).length === before) await setImmediate()
  return { answer }
}

/** A session whose first message is being answered, as far as the clock goes. */
async function busySession ({ client }: TestApp): Promise<{ session: string, path: string, first: Promise<Answer<Reply>> }> {
  const session = await client.converse()
  const path = `/api/sessions/${session}/messages`
  const { response, events } = await client.events(path, { body: { message: 'first' } })
  const first = allOf(events).then((all) => ({
    status: response.status, headers: response.headers, body: all.at(-1)!.data as unknown as Reply
  }))
  return { session, path, first }
}

async function start (t: Parameters<typeof startAppWithSim>[0], env: Record<string, string> = {}): Promise<TestAppWithSim & { clock: StepClock }> {
  const clock = new StepClock()
  return { ...await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 20 } }, env), clock }
}

t.test('those who wait are served in order of arrival, and an interruption goes before them', async (t) => {
  const app = await start(t)
  const { session, path, first } = await busySession(app)
  const second = await queueUp(app, session, 'second')
  const third = await queueUp(app, session, 'third')
  t.match(await app.client.ask(path, { body: { message: 'no' } }), { status: 409, body: { code: 'session_busy' } })
  const urgent = app.client.ask<Reply>(`${path}?onBusy=interrupt`, { body: { message: 'urgent' } })
  t.equal((await first).body.botMessage.status, 'stopped')
  app.clock.run()
  const answers = await Promise.all([urgent, second.answer, third.answer])
  t.same(answers.map(({ status, body }) => [status, body.botMessage.status]), Array.from({ length: 3 }, () => [200, 'completed']))
  const said = (await history(app, session)).filter(({ role }) => role === 'user').map(({ content }) => content)
  t.same(said, ['first', 'urgent', 'second', 'third'])
  t.same(await ticketsOf(app, session), [])
})

t.test('a send without a place in line does not overtake those who have one', async (t) => {
  const app = await startApp(t, { TURN_LEASE_MS: '300' })
  const session = await app.client.converse()
  const path = `/api/sessions/${session}/messages`
  const ticket = { id: new ObjectId(), until: inAnHour() }
  const sessions = app.db.collection('sessions')
  await sessions.updateOne({ _id: new ObjectId(session) }, { $set: { tickets: [ticket] } })
  t.match(await app.client.ask(path, { body: { message: 'no' } }), { status: 409, body: { code: 'session_busy' } })
  t.match(await app.client.ask(`${path}?onBusy=interrupt`, { body: { message: 'urgent' } }), { status: 200 })
  const behind = await queueUp(app, session, 'behind')
  await sessions.updateOne({ _id: new ObjectId(session) }, { $set: { 'tickets.0.until': new Date(0) } })
  t.equal((await behind.answer).status, 200, 'a ticket that nobody renews lapses')
  t.match(await app.client.ask(path, { body: { message: 'yes' } }), { status: 200 })
  t.same(await ticketsOf(app, session), [])
})

t.test('an interruption also ends a turn that has not written anything yet', async (t) => {
  const app = await startApp(t)
  const { session, botId } = await leaveTurn(app, { messages: 0 })
  await app.db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $set: { 'turn.leaseUntil': inAnHour() } })
  const urgent = await queueUp(app, session, 'urgent', '?onBusy=interrupt')
  await writeMessages(app, session, botId, 'streaming')
  t.match(await urgent.answer, { status: 200, body: { userMessage: { seq: 3 } } })
  t.match((await history(app, session))[1], { status: 'stopped', content: 'Partial' })
})

t.test('tickets are renewed for as long as their senders wait', async (t) => {
  const app = await start(t, { TURN_LEASE_MS: '300' })
  const { session, first } = await busySession(app)
  const waiting = [await queueUp(app, session, 'second'), await queueUp(app, session, 'third')]
  const until = (tickets: unknown[]) => (tickets as Array<{ until: Date }>).map(({ until }) => until.getTime())
  const before = until(await ticketsOf(app, session))
  for (let now = before; now.some((time, i) => time <= before[i]! + 300); now = until(await ticketsOf(app, session))) await setImmediate()
  app.clock.run()
  t.same((await Promise.all([first, ...waiting.map(async ({ answer }) => await answer)])).map(({ status }) => status), [200, 200, 200])
})

t.test('who waits on another replica is called there', async (t) => {
  const clock = new StepClock()
  const { first: app, second } = await startReplicas(t, clock, { TURN_LEASE_MS: '600000' })
  const { session, first } = await busySession(app)
  // Behind this one, the other looks for itself only after minutes.
  const here = await queueUp(app, session, 'here')
  const there = await queueUp(second, session, 'there')
  clock.run()
  t.equal((await first).body.botMessage.status, 'completed')
  t.match(await here.answer, { status: 200 })
  t.match(await there.answer, { status: 200, body: { userMessage: { seq: 5 } } })
})

t.test('who waits for a session that is deleted, or on a server that goes down, is told so', async (t) => {
  // A lease so long that who waits can only have been told.
  const app = await start(t, { TURN_LEASE_MS: '3600000' })
  const deleted = await busySession(app)
  const lost = [await queueUp(app, deleted.session, 'one'), await queueUp(app, deleted.session, 'two')]
  await app.client.ask(`/api/sessions/${deleted.session}`, { method: 'DELETE' })
  for (const { answer } of lost) t.match(await answer, { status: 404 })
  const left = await busySession(app)
  const refused = await queueUp(app, left.session, 'one')
  const drained = app.app.chat.drain(60_000)
  t.match(await refused.answer, { status: 503, body: { code: 'overloaded' } })
  t.same(await ticketsOf(app, left.session), [], 'and leaves no ticket')
  app.clock.run()
  await drained
})

t.test('a session that ends while sends wait for it refuses them one by one', async (t) => {
  const app = await start(t)
  const { session, first } = await busySession(app)
  const waiting = [await queueUp(app, session, 'one'), await queueUp(app, session, 'two')]
  await app.client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { status: 'ended' } })
  app.clock.run()
  t.equal((await first).body.botMessage.status, 'completed')
  for (const { answer } of waiting) t.match(await answer, { status: 409, body: { code: 'session_ended' } })
  t.same(await ticketsOf(app, session), [])
})

t.test('a twin in line gets the reply of its twin, and another message with its key is refused', async (t) => {
  const app = await start(t)
  const { session } = await busySession(app)
  const key = { 'idempotency-key': 'k' }
  const twins = [await queueUp(app, session, 'twin', '?onBusy=queue', key), await queueUp(app, session, 'twin', '?onBusy=queue', key)]
  const other = await queueUp(app, session, 'other', '?onBusy=queue', key)
  const last = await queueUp(app, session, 'last')
  app.clock.run()
  const [one, two] = await Promise.all(twins.map(async ({ answer }) => await answer))
  t.equal(one!.status, 200)
  t.same(two!.body, one!.body)
  t.match(await other.answer, { status: 422, body: { code: 'idempotency_conflict' } })
  t.match(await last.answer, { status: 200, body: { userMessage: { seq: 5 } } })
  t.same(await ticketsOf(app, session), [])
})

t.test('a key that is to run again does not lose its turn to those who wait', async (t) => {
  const app = await startApp(t)
  for (const messages of [1, 2] as const) {
    const { session } = await leaveTurn(app, { messages })
    const ticket = { id: new ObjectId(), until: inAnHour() }
    await app.db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $set: { tickets: [ticket] } })
    const again = await app.client.ask<Reply>(`/api/sessions/${session}/messages?onBusy=interrupt`, {
      body: { message: 'Hello' }, headers: { 'idempotency-key': 'k' }
    })
    t.match(again, { status: 200, body: { userMessage: { seq: 1 }, botMessage: { seq: messages + 1, status: 'completed' } } })
    t.match(await sessionOf(app, session), { turn: null, nextSeq: messages + 2 })
    t.equal((await history(app, session)).length, messages + 1)
  }
})
