import { type Document, ObjectId } from 'mongodb'
import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { Relay } from '../../src/webhooks/relay.ts'
import { type Client, databaseName, startApp, type TestApp } from '../helper.ts'
import { leaveTurn } from '../replicas.ts'
import { startAppWithSim, StepClock } from '../sim.ts'
import { bodyCheck, listen } from './told.ts'

const send = async (client: Client, session: string, message = 'Hello') =>
  await client.ask<{ botMessage: { id: string, sessionId: string } }>(`/api/sessions/${session}/messages`, { body: { message } })

const types = (told: Array<{ body: { type: string } }>) => told.map(({ body }) => body.type).sort()

/** What is left in documents that is still to be told. */
async function left ({ db }: Pick<TestApp, 'db'>): Promise<Document[]> {
  const found = await Promise.all([
    ...['sessions', 'configs', 'quotaCounters', 'inboundMessages'].map(async (name) => (
      await db.collection(name).find({ outboxSince: { $type: 'date' } }).toArray()
    )),
    db.collection('messages').find({ unrecorded: { $exists: true } }).toArray()
  ])
  return found.flat()
}

/** Waits until nothing is left. */
async function settled (app: TestApp): Promise<void> {
  await app.app.usageLedger.flush()
  while ((await left(app)).length > 0) await app.app.usageLedger.flush()
}

t.test('what happens is told, once, as the document says, and nothing is left of it', async (t) => {
  const clock = new StepClock()
  const app = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 5 } }, { QUOTA_KEY_MESSAGES_PER_DAY: '5' })
  const { client } = app
  const check = bodyCheck(app)
  const listener = await listen(app)
  const only = await listen(app, ['session.ended'])
  const elsewhere = await listen(app, [], 'other')
  const next = async (count?: number) => {
    const told = await listener.next(count)
    for (const { body } of told) t.equal(check(body), '', `${body.type} is as it is described`)
    return told
  }

  const configId = await client.createConfig()
  const path = `/api/configs/${configId}`
  await client.ask(path, { method: 'PATCH', body: { purpose: 'Help more.' }, headers: { 'content-type': 'application/merge-patch+json' } })
  await client.ask(`${path}/rollback`, { body: { version: 1 } })
  t.same((await next(3)).map(({ body }) => body.data), [
    { configId, version: 1, change: 'created' }, { configId, version: 2, change: 'updated' }, { configId, version: 3, change: 'updated' }
  ])

  const session = await client.createSession(configId, { userId: 'anna', channel: 'web', metadata: { $set: 'x' } })
  t.match(await next(), [{ body: { type: 'session.started', data: { session: { id: session, userId: 'anna', status: 'active', metadata: { $set: 'x' } } } } }])

  clock.run()
  const { body: { botMessage } } = await send(client, session)
  const [completed] = await next()
  t.match(completed, {
    eventId: `evt_${botMessage.id}`,
    body: { type: 'message.completed', data: { message: { ...botMessage, status: 'completed' }, sessionId: session, configId, userId: 'anna', channel: 'web' } }
  })

  app.sim.script([{ fault: { status: { code: 400 } } }])
  t.match(await send(client, session), { status: 502 })
  t.match(await next(), [{ body: { type: 'message.failed', data: { message: { status: 'failed', error: { code: /./ } } } } }])

  await send(client, session)
  await send(client, session)
  t.same(types(await next(2)), ['message.completed', 'message.completed'])
  await app.app.usageLedger.flush()
  await send(client, session)
  t.match((await next(2)).find(({ body }) => body.type === 'quota.warning'), {
    body: { data: { quota: 'messagesPerDay', subject: 'key', keyId: /./, limit: 5, used: 4, period: 'day', resetAt: /T00:00:00.000Z$/ } }
  })
  t.match(await send(client, session), { status: 402 })
  t.match(await send(client, session), { status: 402 })
  t.match(await next(), [{ body: { type: 'quota.exceeded', data: { subject: 'key', limit: 5, used: 5 } } }])

  const status = async (status: string) => await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { status } })
  await Promise.all([status('ended'), status('ended')])
  t.match(await next(), [{ body: { type: 'session.ended', data: { session: { id: session, status: 'ended', userId: 'anna' } } } }])
  await status('active')
  const branchId = session
  await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { status: 'ended', branchId } })
  t.same(types(await next()), ['session.ended'], 'one that goes on ends once more')

  await client.ask(path, { method: 'DELETE' })
  t.match(await next(), [{ body: { type: 'config.changed', data: { configId, change: 'deleted' } } }])
  await settled(app)
  t.equal((await listener.told()).length, 14, 'all that was told was looked at')
  t.equal((await only.told()).length, 2, 'who wants less is told less')
  t.same(await elsewhere.told(), [], 'another tenant is told nothing')
})

t.test('every reply ends with one event, also where it is stopped, or its server has died', async (t) => {
  const clock = new StepClock()
  const app = await startAppWithSim(t, { clock, cadence: { chunkDelayMs: 5 } })
  const listener = await listen(app, ['message.completed', 'message.failed'])
  const session = await app.client.converse()
  const path = `/api/sessions/${session}/messages`
  const { events } = await app.client.events(path, { body: { message: 'one two three four' } })
  const reading = Array.fromAsync(events)
  await clock.step(3)
  let bot: { id: string } | undefined
  while (!bot) [, bot] = (await app.client.ask<{ data: Array<{ id: string }> }>(path)).body.data
  await app.client.ask(`${path}/${bot.id}/stop`, { method: 'POST' })
  await reading
  t.match(await listener.next(), [{ eventId: `evt_${bot.id}`, body: { type: 'message.failed', data: { message: { status: 'stopped' } } } }])

  const { botId } = await leaveTurn(app, { messages: 2 })
  await app.app.chat.reap()
  t.match(await listener.next(), [{
    eventId: `evt_${botId.toHexString()}`, body: { type: 'message.failed', data: { message: { status: 'interrupted', content: 'Partial' } } }
  }])

  const { events: doomed } = await app.client.events(path, { body: { message: 'one two three four' } })
  const last = Array.fromAsync(doomed)
  await clock.step(2)
  await app.client.ask(`/api/sessions/${session}`, { method: 'DELETE' })
  await last
  await leaveTurn(app, { messages: 2 }).then(async ({ session }) => await app.client.ask(`/api/sessions/${session}`, { method: 'DELETE' }))
  await app.app.chat.purge()
  await settled(app)
  t.same((await listener.told()).map(({ eventId }) => eventId), [`evt_${botId.toHexString()}`], 'but nothing is told of sessions that are deleted, nor kept')
})

t.test('of a message from outside it is told where its reply is to be sent, or that there is none', async (t) => {
  const app = await startAppWithSim(t)
  const check = bodyCheck(app)
  const configId = await app.client.createConfig()
  const listener = await listen(app, ['message.completed', 'integration.failed'])
  const said = { type: 'message', channel: 'helpdesk', externalUserId: 'anna', text: 'Hello', configId }
  const route = { configId, userId: 'helpdesk:anna', channel: 'helpdesk', externalUserId: 'anna', externalMessageId: 'm-1' }
  t.match(await app.client.ask('/api/webhook', { body: { ...said, externalMessageId: 'm-1' } }), { status: 202 })
  const [completed] = await listener.next()
  t.match(completed!.body, { type: 'message.completed', data: route })
  t.equal(check(completed!.body), '')
  app.sim.script([{ fault: { status: { code: 400 } } }])
  t.match(await app.client.ask('/api/webhook', { body: { ...said, externalMessageId: 'm-2' } }), { status: 202 })
  const [failed] = await listener.next()
  t.match(failed!.body, {
    type: 'integration.failed',
    data: { ...route, integrationId: null, externalMessageId: 'm-2', deliveryId: /m-2/, sessionId: /^[0-9a-f]{24}$/, error: { code: 'upstream_rejected' } }
  })
  t.equal(check(failed!.body), '')
  await settled(app)
})

t.test('who is told nothing pays nothing', async (t) => {
  const app = await startApp(t, {})
  const wanted = await listen(app, ['webhook.ping'])
  const commands: Array<Record<string, unknown>> = []
  app.app.mongo.client.on('commandStarted', ({ command }: { command: Record<string, unknown> }) => commands.push(command))
  const session = await app.client.converse()
  await send(app.client, session)
  await app.client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { status: 'ended' } })
  await settled(app)
  t.same(commands.filter(({ insert, update }) => insert === 'webhookDeliveries' || update === 'configs'), [])
  t.notMatch(JSON.stringify(commands.filter(({ insert, findAndModify, update, bulkWrite }) => insert ?? findAndModify ?? update ?? bulkWrite)), /"outbox"/)
  t.same(await wanted.told(), [])
})

t.test('who is disabled is told nothing of what happens meanwhile', async (t) => {
  const app = await startApp(t)
  const [listener, other] = [await listen(app, ['config.changed']), await listen(app, ['session.ended'])]
  await listener.enable(false)
  await app.client.createConfig()
  t.notOk(app.app.webhookAudience.wants('default', 'config.changed'))
  await other.enable(false)
  t.notOk(app.app.webhookAudience.wants('default', 'session.ended'))
  await listener.enable(true)
  const configId = await app.client.createConfig()
  t.match(await listener.next(), [{ body: { data: { configId, change: 'created' } } }])
  t.equal((await listener.told()).length, 1)
})

t.test('what processes that died have left is told once, by however many', async (t) => {
  const env = { MONGODB_DATABASE: databaseName(), BOOTSTRAP_API_KEY: newApiKey() }
  const app = await startApp(t, env)
  const second = await startApp(t, env)
  const configId = await app.client.createConfig()
  const [kept, deleted, erased] = await Promise.all([1, 2, 3].map(async () => await app.client.createSession(configId))) as [string, string, string]
  const replies = await Promise.all([kept, deleted, erased].map(async (session) => (await send(app.client, session)).body.botMessage.id))
  await settled(app)
  const listener = await listen(app)
  await second.app.webhookAudience.refresh()
  const entry = (type: string, data: object) => {
    const timestamp = new Date(Date.now() - 60_000)
    return { outbox: [{ id: `evt_${type}`, type, timestamp, data }], outboxSince: timestamp }
  }
  const leave = async (collection: string, id: string, fields: object) => {
    await app.db.collection(collection).updateOne({ _id: new ObjectId(id) }, { $set: fields })
  }
  await leave('configs', configId, entry('config.changed', { configId, version: 1, change: 'created' }))
  await leave('sessions', kept, entry('session.ended', {}))
  await leave('sessions', deleted, entry('session.started', {}))
  for (const id of replies) await leave('messages', id, { unrecorded: { keyId: null, subjects: [], attempts: [] } })
  await app.client.ask(`/api/sessions/${erased}/messages/${replies[2]!}`, { method: 'DELETE' })
  await app.client.ask(`/api/sessions/${deleted}`, { method: 'DELETE' })
  await app.app.chat.purge()
  const soon = new Date(Date.now() + 60_000)
  await Promise.all([app, second].flatMap(({ app }) => [app.webhookRelay.sweep(soon), app.usageLedger.sweep(soon)]))
  t.same((await listener.told()).map(({ eventId }) => eventId).sort(), [`evt_${replies[0]!}`, 'evt_config.changed', 'evt_session.ended'].sort())
  t.same(await left(app), [])
})

t.test('what cannot be sent on its way stays where it is, and holds nothing else up', async (t) => {
  const app = await startApp(t)
  const { store, webhookAudience: audience, webhookPublisher } = app.app
  const configId = await app.client.createConfig()
  const session = await app.client.createSession(configId)
  const reply = (await send(app.client, session)).body.botMessage
  await settled(app)
  const listener = await listen(app)
  const failures: unknown[] = []
  let isAway = true
  const relay = new Relay({
    audience,
    publisher: {
      async publish (event) {
        if (isAway && event.type !== 'config.changed') throw new Error('the store is away')
        await webhookPublisher.publish(event)
      }
    },
    outboxes: [store.sessions.outbox, store.chatbots.outbox],
    log: { warn: ({ err }: { err?: unknown }) => { failures.push(err) }, error: () => {} }
  })
  const timestamp = new Date()
  const entry = (type: string) => ({ id: `evt_${type}`, type, timestamp, data: {} })
  const write = async (collection: string, id: string, type: string) => {
    await app.db.collection(collection).updateOne({ _id: new ObjectId(id) }, { $set: { outbox: [entry(type)], outboxSince: timestamp } })
  }
  await write('sessions', session, 'session.ended')
  await write('configs', configId, 'config.changed')
  relay.push(store.sessions.outbox, session, 'default', entry('session.ended'))
  const message = (await store.messages.find(session, reply.id))!
  await t.rejects(relay.tell(message))
  await relay.sweep(new Date(Date.now() + 1))
  await relay.close()
  t.equal(failures.length, 3)
  t.same((await listener.told()).map(({ eventId }) => eventId), ['evt_config.changed'])
  t.match(await left(app), [{ _id: new ObjectId(session) }])
  isAway = false
  await relay.sweep(new Date(Date.now() + 1))
  await relay.tell(message)
  t.same((await listener.next(3)).map(({ eventId }) => eventId), ['evt_config.changed', 'evt_session.ended', `evt_${reply.id}`])
  t.same(await left(app), [])
})
