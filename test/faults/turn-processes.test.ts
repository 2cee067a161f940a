import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { allOf, type Client } from '../helper.ts'
import { eventually, history, type MessageView, startProcesses } from '../replicas.ts'
import { promptOf, StepClock } from '../sim.ts'

t.setTimeout(180_000)

interface Exchange { reply: string, userMessage: MessageView, botMessage: MessageView }

const LEASE_MS = 1500

/** A reply that one process is writing, seen from another: some of its text is in the store. */
async function runningReply (writing: Client, reading: Client, clock: StepClock) {
  const session = await writing.converse()
  const path = `/api/sessions/${session}/messages`
  const events = allOf((await writing.events(path, { body: { message: 'one two three four five six' } })).events)
  await clock.step(4)
  const [user, bot] = await eventually({ client: reading }, session, ([, bot]) => bot !== undefined && bot.content !== '')
  return { session, path, events, user: user!, bot: bot! }
}

t.test('20 identical sends at once over two processes: one message, one call, 20 equal answers', async (t) => {
  const { sim, clients, ledger } = await startProcesses(t, { cadence: { chunkDelayMs: 1 } })
  for (const [round, onBusy] of ['reject', 'queue', 'interrupt'].entries()) {
    const session = await clients[0].converse()
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, i) => await clients[i % 2]!.ask<Exchange>(
      `/api/sessions/${session}/messages?onBusy=${onBusy}`, { body: { message: 'Hello' }, headers: { 'idempotency-key': 'k' } }
    )))
    t.same(answers.map(({ status }) => status), Array.from({ length: 20 }, () => 200))
    for (const { body } of answers) t.same(body, answers[0]!.body)
    t.equal(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null).length, 1)
    t.equal((await history({ client: clients[0] }, session)).length, 2)
    t.equal(sim.requests().length, round + 1)
  }
  t.same(await ledger(), [])
})

t.test('a failed turn runs again on the other process, for the same user message', async (t) => {
  const { sim, clients: [first, second], ledger } = await startProcesses(t, {}, { MISTRAL_TIMEOUT_MS: '20000' })
  const session = await first.converse()
  const path = `/api/sessions/${session}/messages`
  const send = { body: { message: 'Hello' }, headers: { 'idempotency-key': 'k' } }
  sim.script([{ fault: { status: { code: 500, headers: { 'retry-after': '25' } } } }])
  const failed = await first.ask<Exchange>(path, send)
  t.equal(failed.status, 502)
  const answers = await Promise.all(Array.from({ length: 10 }, async (_, i) => await (i % 2 === 0 ? second : first).ask<Exchange>(path, send)))
  for (const { status, body } of answers) {
    t.equal(status, 200)
    t.same(body, answers[0]!.body)
  }
  t.equal(answers[0]!.body.userMessage.id, failed.body.userMessage.id)
  t.same((await history({ client: second }, session)).map(({ seq, status }) => [seq, status]), [[1, 'completed'], [2, 'failed'], [3, 'completed']])
  t.same(await ledger(), [])
})

t.test('a stop from the other process keeps text and usage and ends the call of the model', async (t) => {
  const clock = new StepClock()
  const { sim, clients: [writing, other], ledger } = await startProcesses(t, { clock, cadence: { chunkDelayMs: 20 } })
  const { path, events, bot } = await runningReply(writing, other, clock)
  const before = performance.now()
  const { status, body } = await other.ask<MessageView>(`${path}/${bot.id}/stop`, { method: 'POST' })
  t.comment(`stopped after ${Math.round(performance.now() - before)} ms`)
  t.match({ status, body }, { status: 200, body: { status: 'stopped', usage: { estimated: true } } }, 'its writer has ended it')
  t.ok(body.content.startsWith(bot.content))
  await sim.idle()
  t.equal(sim.requests()[0]!.aborted, true)
  t.match((await events).at(-1), { event: 'message.stopped', data: { botMessage: body } })
  t.match(await writing.ask(`${path}/${bot.id}/stop`, { method: 'POST' }), { status: 200, body })
  t.same(await ledger(), [])
})

t.test('a process that stalls cannot be asked to stop: its reply is stopped for it, and it learns that', async (t) => {
  const clock = new StepClock()
  const { sim, first, clients: [writing, other], ledger } = await startProcesses(t, { clock, cadence: { chunkDelayMs: 20 } })
  const { path, events, bot, session } = await runningReply(writing, other, clock)
  first.child.kill('SIGSTOP')
  const { body } = await other.ask<MessageView>(`${path}/${bot.id}/stop`, { method: 'POST' })
  t.match(body, { status: 'stopped', content: bot.content })
  first.child.kill('SIGCONT')
  t.match((await events).at(-1), { event: 'message.stopped', data: { botMessage: body } })
  await sim.idle()
  t.equal(sim.requests()[0]!.aborted, true)
  clock.run()
  t.match(await writing.ask(path, { body: { message: 'next' } }), { status: 200 })
  t.same((await history({ client: other }, session))[1], body)
  t.same(await ledger(), [])
})

t.test('a process that stalls beyond its lease writes nothing any more', async (t) => {
  const clock = new StepClock()
  const { sim, first, clients: [writing, other], ledger } = await startProcesses(
    t, { clock, cadence: { chunkDelayMs: 20 } }, { TURN_LEASE_MS: String(LEASE_MS), STREAM_FLUSH_MS: '20' }
  )
  const { path, events, bot, session } = await runningReply(writing, other, clock)
  first.child.kill('SIGSTOP')
  // All that is left of the reply, its end included, now lies in the socket of the process that stalls.
  clock.run()
  await sim.idle()
  const next = await other.ask<Exchange>(`${path}?onBusy=queue`, { body: { message: 'next' } })
  t.match(next, { status: 200, body: { userMessage: { seq: 3 } } })
  const taken = await history({ client: other }, session)
  t.match(taken[1], { id: bot.id, status: 'interrupted', content: bot.content })
  t.same(promptOf(sim, 1).slice(1).map(({ content }) => content), ['one two three four five six', 'next'], 'what was cut off was not said')

  first.child.kill('SIGCONT')
  t.match((await events).at(-1), { event: 'message.interrupted', data: { botMessage: taken[1]! } })
  t.match(await writing.ask(path, { body: { message: 'and on' } }), { status: 200, body: { userMessage: { seq: 5 } } })
  await delay(LEASE_MS)
  t.same((await history({ client: other }, session)).slice(0, 4), taken, 'nothing has changed behind it')
  t.same(await ledger(), [])
})
