import { type Document, ObjectId } from 'mongodb'
import t from 'tap'
import { createMistralProvider } from '../../src/llm/mistral/mistral-client.ts'
import { type ModelAttempt } from '../../src/llm/provider.ts'
import { type Client, startApp, storeUri, type TestApp } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { startAppWithSim, startTestSim, StepClock } from '../sim.ts'

const send = async (client: Client, session: string, message = 'Hello') =>
  await client.ask<{ botMessage: { id: string } }>(`/api/sessions/${session}/messages`, { body: { message } })

interface Event extends Document {
  _id: string
  promptTokens: number
  completionTokens: number
}

/** What is in the ledger, in the order of attempts, once all is. */
async function events ({ app, db }: TestApp) {
  await app.usageLedger.flush()
  return await db.collection<Event>('usageEvents').find().sort({ _id: 1 }).toArray()
}

const violations = async ({ db }: TestApp) => await checkLedger(await storeUri(), db.databaseName, { recorded: true })

t.test('every attempt at a reply is in the ledger, and no answer tells of what is on its way there', async (t) => {
  const app = await startAppWithSim(t)
  const session = await app.client.converse()
  app.sim.script([{ fault: { status: { code: 500 } } }])
  const { body } = await send(app.client, session)
  t.ok(await app.db.collection('messages').findOne({ unrecorded: { $exists: true } }))
  t.notMatch(JSON.stringify([body, (await app.client.ask(`/api/sessions/${session}/messages`)).body]), /unrecorded/)
  t.notMatch(await (await app.client.fetch('/api/export')).text(), /unrecorded/)
  const source = body.botMessage.id
  t.match(await events(app), [
    { _id: `${source}:1`, attempt: 1, messages: 1, outcome: 'upstream_failed', promptTokens: 0, completionTokens: 0, microUsd: 0 },
    {
      _id: `${source}:2`,
      source,
      attempt: 2,
      tenantId: 'default',
      messages: 0,
      outcome: 'completed',
      purpose: 'reply',
      model: 'mistral-small-latest',
      configId: ObjectId,
      user: null,
      keyId: /./,
      estimated: false
    }
  ])
  t.same(await violations(app), [])
})

t.test('a reply that is stopped is charged by an estimate', async (t) => {
  const clock = new StepClock()
  const app = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 5 } })
  const session = await app.client.converse()
  const path = `/api/sessions/${session}/messages`
  const { events: sent } = await app.client.events(path, { body: { message: 'one two three four' } })
  const reading = Array.fromAsync(sent)
  await clock.step(3)
  let bot: { id: string } | undefined
  while (!bot) [, bot] = (await app.client.ask<{ data: Array<{ id: string }> }>(path)).body.data
  await app.client.ask(`${path}/${bot.id}/stop`, { method: 'POST' })
  await reading
  t.match(await events(app), [{ source: bot.id, outcome: 'aborted', estimated: true, messages: 1 }])
  t.ok((await events(app))[0]!['promptTokens'] > 0)
})

t.test('titles, summaries and drafts are in the ledger, too', async (t) => {
  const app = await startAppWithSim(t)
  const configId = await app.client.createConfig({ titles: true })
  const session = await app.client.createSession(configId, { userId: 'anna' })
  await send(app.client, session)
  await app.app.upkeep.idle()
  await app.client.ask(`/api/sessions/${session}/summary`, { method: 'POST' })
  await app.client.ask('/api/specifications', { body: { brief: 'A bot for parcels.' } })
  const found = await events(app)
  const of = (purpose: string) => found.filter((event) => event['purpose'] === purpose)
  t.match([of('title'), of('summary'), of('specification')].map(([first]) => first), [
    { configId: new ObjectId(configId), messages: 0, user: /./, keyId: /./ }, { configId: new ObjectId(configId) }, { configId: null, user: null }
  ])
  t.equal(found.length, 3 + of('specification').length)
})

t.test('where a quota is used up there is no title by the model, no summary and no draft', async (t) => {
  const app = await startAppWithSim(t, {}, { QUOTA_TENANT_TOKENS_PER_DAY: '5000' })
  const session = await app.client.converse()
  await send(app.client, session)
  await app.app.usageLedger.flush()
  await app.db.collection('quotaCounters').updateMany({}, { $set: { 'day.tokens': 4900 } })
  t.match(await app.client.ask(`/api/sessions/${session}/summary`, { method: 'POST' }), { status: 402 })
  t.match(await app.client.ask('/api/specifications', { body: { brief: 'A bot for parcels.' } }), { status: 402, body: { code: 'quota_exceeded' } })
  t.equal(app.sim.requests().length, 1)
})

t.test('what a process that died has left is recorded once, and what is removed is recorded before', async (t) => {
  const app = await startApp(t, { QUOTA_TENANT_MESSAGES_PER_DAY: '100' })
  const [kept, removed] = [await app.client.converse(), await app.client.converse()]
  await send(app.client, kept)
  await send(app.client, removed)
  const [first] = await events(app)
  const { _id, promptTokens, completionTokens } = first!
  const spent = { model: 'm', outcome: 'completed', promptTokens, completionTokens, cachedTokens: 0, microUsd: 0, estimated: true }
  const leave = async (session: string) => {
    const left = { unrecorded: { keyId: null, subjects: ['tenant:default'], attempts: [spent] } }
    await app.db.collection('messages').updateOne({ sessionId: new ObjectId(session), role: 'bot' }, { $set: left })
  }
  await leave(kept)
  await app.app.usageLedger.sweep(new Date(Date.now() + 1000))
  await app.app.usageLedger.sweep()
  t.same((await events(app)).length, 2, 'it was recorded already')
  t.match(await app.db.collection('quotaCounters').findOne({}), { stale: true }, 'who knows whether it was counted')
  t.match(await send(app.client, kept), { status: 200 })
  await app.app.usageLedger.flush()
  t.match(await app.db.collection('quotaCounters').findOne({}), { stale: false, day: { messages: 3 } })
  t.same(await violations(app), [])
  await app.db.collection<Event>('usageEvents').deleteMany({ _id: { $ne: _id } })
  await leave(removed)
  await app.client.ask(`/api/sessions/${removed}`, { method: 'DELETE' })
  await app.app.chat.purge()
  t.equal((await events(app)).length, 2)
})

t.test('usage is recorded when the store is back', async (t) => {
  const app = await startApp(t)
  const session = await app.client.converse()
  const { store } = app.app
  const add = store.usageEvents.add.bind(store.usageEvents)
  let isAway = true
  t.intercept(store.usageEvents, 'add', {
    value: async (found: Parameters<typeof add>[0]) => {
      if (isAway) throw new Error('away')
      await add(found)
    }
  })
  await send(app.client, session)
  await t.rejects(app.app.usageLedger.flush(), { message: 'away' })
  isAway = false
  t.equal((await events(app)).length, 1)
})

t.test('no attempt is made that might take more than is left of a budget', async (t) => {
  const sim = await startTestSim(t)
  const provider = createMistralProvider({
    baseUrl: sim.url,
    apiKey: 'sim',
    defaultModel: 'mistral-small-latest',
    maxConcurrency: 2,
    firstTokenTimeoutMs: 5000,
    idleTimeoutMs: 5000,
    timeoutMs: 20_000,
    retry: { baseMs: 1 },
    logger: { warn: () => {} }
  })
  t.teardown(async () => await provider.close())
  const ask = async (budgetTokens: number) => {
    sim.script([{ fault: { truncate: { chunks: 1 } } }])
    const attempts: ModelAttempt[] = []
    const request = {
      tenantId: 'a', sessionId: 's', messages: [{ role: 'user', content: 'one two three' } as const], model: { maxTokens: 50 }, instructions: '', language: 'en'
    }
    const options = { stream: false, signal: new AbortController().signal, budgetTokens, onAttempt: (attempt: ModelAttempt) => { attempts.push(attempt) } }
    try {
      await Array.fromAsync(provider.generate(request, options))
    } catch { /* told by the attempts */ }
    return attempts
  }
  t.match(await ask(70), [{ outcome: 'upstream_failed', usage: { estimated: true } }])
  t.equal((await ask(70)).length, 1)
  t.match((await ask(500)).map(({ outcome }) => outcome), ['upstream_failed', 'completed'])
})
