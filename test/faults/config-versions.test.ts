import t from 'tap'
import { type Client } from '../helper.ts'
import { startProcesses } from '../replicas.ts'
import { promptOf } from '../sim.ts'

t.test('after a rollback every replica follows within five seconds, in a session that goes on', async (t) => {
  const { sim, clients: [first, second], ledger } = await startProcesses(t, {})
  const id = await first.createConfig({ instructions: 'Version 1.' })
  const sessions = await Promise.all([first, second].map(async (client) => await client.createSession(id)))
  /** The version in the prompt of the next turn, and the one that the reply tells. */
  const told = async (client: Client, session: string) => {
    const { body } = await client.ask<{ botMessage: { configVersion: number } }>(`/api/sessions/${session}/messages`, { body: { message: 'Go on.' } })
    const { content } = promptOf(sim, sim.requests().length - 1)[0]!
    return [Number(/Version (\d+)\./.exec(content)?.[1]), body.botMessage.configVersion]
  }
  const changes: Array<[string, object, [number, number]]> = [
    ['PATCH', { instructions: 'Version 2.' }, [2, 2]], ['POST', { version: 1 }, [1, 3]], ['POST', { version: 2 }, [2, 4]]
  ]
  for (const [round, [method, body, expected]] of changes.entries()) {
    const [here, there] = round % 2 === 0 ? [0, 1] : [1, 0]
    const clients = [first, second]
    // Each of them has it in memory.
    for (const [i, client] of clients.entries()) await told(client, sessions[i]!)
    const { status } = await clients[here]!.ask(`/api/configs/${id}${method === 'POST' ? '/rollback' : ''}`, { method, body })
    const changedAt = performance.now()
    t.equal(status, 200)
    t.same(await told(clients[here]!, sessions[here]!), expected, 'at once where it was changed')
    let seen: number[]
    let sentAt: number
    do {
      sentAt = performance.now()
      seen = await told(clients[there]!, sessions[there]!)
    } while (seen[1] !== expected[1] && sentAt - changedAt < 5000)
    t.same(seen, expected, `elsewhere by a turn that began ${Math.round(sentAt - changedAt)} ms later`)
  }
  t.same(await ledger(), [])
})

t.test('changes at once on two processes lose no version', async (t) => {
  const { clients } = await startProcesses(t, {})
  const id = await clients[0].createConfig()
  const path = `/api/configs/${id}`
  let made = 1
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all(Array.from({ length: 8 }, async (_, i) => await clients[i % 2]!.ask<{ version: number }>(path, {
      method: i < 4 ? 'PUT' : 'PATCH', body: { purpose: `Round ${round}, ${i}` }
    })))
    made += answers.filter(({ status }) => status === 200).length
    for (const { status } of answers) t.ok(status === 200 || status === 409)
  }
  const { body: { data } } = await clients[1].ask<{ data: Array<{ version: number }> }>(`${path}/versions?limit=100`)
  t.same(data.map(({ version }) => version), Array.from({ length: made }, (_, i) => made - i))
  for (const { version } of data) t.match(await clients[1].ask(`${path}/versions/${version}`), { status: 200, body: { version } })
})
