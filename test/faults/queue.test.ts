import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { type Client } from '../helper.ts'
import { type MessageView, startProcesses } from '../replicas.ts'
import { promptOf } from '../sim.ts'

t.setTimeout(180_000)

const SENDS = 50

/** As a client does it: no more than 32 may wait, the others come again. */
async function sendUntilTaken (client: Client, path: string, message: string): Promise<{ status: number, message: string }> {
  for (;;) {
    const { status, body } = await client.ask<{ code?: string }>(`${path}?onBusy=queue`, { body: { message } })
    if (body.code !== 'overloaded') return { status, message }
    await delay(200)
  }
}

t.test(`${SENDS} sends at once over two processes: an order without gaps, and every prompt is what was said before`, async (t) => {
  const { sim, clients, ledger } = await startProcesses(t, { cadence: { chunkDelayMs: 1 } })
  const session = await clients[0].converse({ historyLimit: 100 })
  const path = `/api/sessions/${session}/messages`
  const answers = await Promise.all(Array.from(
    { length: SENDS }, async (_, i) => await sendUntilTaken(clients[i % 2]!, path, `message ${i}`)
  ))
  t.same(answers.filter(({ status }) => status !== 200), [])
  const { data } = (await clients[1].ask<{ data: MessageView[] }>(`${path}?limit=200`)).body
  t.same(data.map(({ seq, role, status }) => [seq, role, status]), Array.from(
    { length: 2 * SENDS }, (_, i) => [i + 1, i % 2 === 0 ? 'user' : 'bot', 'completed']
  ))
  const said = data.map(({ content }) => content)
  t.same(said.filter((_, i) => i % 2 === 0).sort(), answers.map(({ message }) => message).sort())
  t.equal(sim.requests().length, SENDS)
  for (let n = 0; n < SENDS; n++) {
    t.same(promptOf(sim, n).slice(1).map(({ content }) => content), said.slice(0, 2 * n + 1))
  }
  t.same(await ledger(), [])
})

t.test('those who wait at a process that is killed do not hold up the others', async (t) => {
  const { sim, first, clients: [dying, other], ledger } = await startProcesses(t, {}, { TURN_LEASE_MS: '1500' })
  const session = await dying.converse()
  const path = `/api/sessions/${session}/messages`
  sim.script([{ fault: { hang: true } }])
  const lost = [dying.ask(path, { body: { message: 'running' } }).catch(() => {})]
  while (sim.requests().length === 0) await delay(10)
  for (let i = 0; i < 5; i++) lost.push(dying.ask(`${path}?onBusy=queue`, { body: { message: `lost ${i}` } }).catch(() => {}))
  const waiting = Array.from({ length: 5 }, async (_, i) => await other.ask(`${path}?onBusy=queue`, { body: { message: `kept ${i}` } }))
  await delay(200)
  await first.end('SIGKILL')
  await Promise.all(lost)
  t.same((await Promise.all(waiting)).map(({ status }) => status), [200, 200, 200, 200, 200])
  t.same(await ledger(), [])
})
