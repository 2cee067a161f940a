import t from 'tap'
import { startApp, databaseName, type Client } from '../helper.ts'
import { history, modelAt } from '../replicas.ts'
import { promptOf, startAppWithSim } from '../sim.ts'

t.test('what was said last is known without being read, as long as nothing else has happened', async (t) => {
  const env = { MONGODB_DATABASE: databaseName() }
  const first = await startAppWithSim(t, {}, env)
  const second = await startApp(t, { ...env, ...modelAt(first.sim.url), BOOTSTRAP_API_KEY: first.adminKey })
  const { client, sim } = first
  const config = await client.createConfig({ historyLimit: 3 })
  const configPath = `/api/configs/${config}`

  let reads = 0
  first.app.mongo.client.on('commandStarted', ({ commandName, command }: { commandName: string, command: Record<string, unknown> }) => {
    const isOfHistory = commandName === 'aggregate' || (commandName === 'find' && 'sort' in command)
    if (isOfHistory && command[commandName] === 'messages') reads++
  })
  for (const { app } of [first, second]) await Promise.all([app.messageSearch.close(), app.usageLedger.close()])

  /** Says something, and checks that the model is told what is stored. Answers how much was read for it here. */
  async function say (session: string, { by = client, limit = 3, path = '', method = 'POST' }: { by?: Client, limit?: number, path?: string, method?: string } = {}) {
    const before = reads
    const body = path.endsWith('regenerate') ? {} : { message: `text ${sim.requests().length}` }
    const answer = await by.ask(`/api/sessions/${session}/messages${path}`, { method, body })
    t.equal(answer.status, 200)
    const count = reads - before
    const stored = (await history(first, session)).filter(({ status }) => status !== 'deleted').map(({ content }) => content)
    const told = promptOf(sim, sim.requests().length - 1).slice(1).map(({ content }) => content)
    t.same(told, stored.slice(0, -1).slice(-limit - 1))
    return count
  }
  const sayOften = async (session: string, times: number) => {
    for (let i = 0; i < times; i++) await say(session)
  }

  await t.test('short and long conversations', async (t) => {
    const session = await client.createSession(config)
    for (let i = 0; i < 4; i++) t.equal(await say(session), 0)
  })

  await t.test('what another replica has said', async (t) => {
    const session = await client.createSession(config)
    await sayOften(session, 2)
    await say(session, { by: second.client })
    t.equal(await say(session), 1, 'is read')
    t.equal(await say(session), 0, 'once')
  })

  await t.test('what was deleted or cleared, here or elsewhere', async (t) => {
    for (const by of [client, second.client]) {
      const session = await client.createSession(config)
      await sayOften(session, 2)
      const [, , { id }] = await history(first, session) as [unknown, unknown, { id: string }]
      t.equal((await by.ask(`/api/sessions/${session}/messages/${id}`, { method: 'DELETE' })).status, 204)
      // Three are read, one of which is no more.
      t.equal(await say(session, { limit: 2 }), 1)
      t.equal((await by.ask(`/api/sessions/${session}/messages`, { method: 'DELETE' })).status, 204)
      for (let i = 0; i < 2; i++) t.equal(await say(session), 0, 'there is nothing to read')
    }
  })

  await t.test('an edit, and another reply', async (t) => {
    const session = await client.createSession(config)
    await sayOften(session, 2)
    const [, , { id }] = await history(first, session) as [unknown, unknown, { id: string }]
    t.equal(await say(session, { path: `/${id}`, method: 'PUT' }), 1)
    t.equal(await say(session), 0, 'goes on from the edit')
    const said = (await history(first, session)).at(-2)!
    t.equal(await say(session, { path: `/${said.id}/regenerate` }), 1)
    t.equal(await say(session), 1, 'a new reply comes after other messages')
    t.equal(await say(session), 0)
  })

  await t.test('a chatbot that is told more of it, or less', async (t) => {
    const session = await client.createSession(config)
    await sayOften(session, 3)
    t.equal((await client.ask(configPath, { method: 'PATCH', body: { historyLimit: 5 } })).status, 200)
    t.equal(await say(session, { limit: 5 }), 1)
    t.equal(await say(session, { limit: 5 }), 0)
    t.equal((await client.ask(configPath, { method: 'PATCH', body: { historyLimit: 3 } })).status, 200)
    t.equal(await say(session), 0)
  })

  await t.test('a reply that has failed', async (t) => {
    const session = await client.createSession(config)
    await sayOften(session, 1)
    sim.script([{ fault: { status: { code: 400 } } }])
    const path = `/api/sessions/${session}/messages`
    const key = { 'idempotency-key': 'k' }
    t.not((await client.ask(path, { body: { message: 'fails' }, headers: key })).status, 200)
    const told = () => promptOf(sim, sim.requests().length - 1).slice(1).map(({ content }) => content)
    const before = told()
    t.equal((await client.ask(path, { body: { message: 'fails' }, headers: key })).status, 200)
    t.same(told(), before, 'the same is asked once more, in its place')
  })
})
