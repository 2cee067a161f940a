import { type CommandStartedEvent, ObjectId } from 'mongodb'
import t, { type Test } from 'tap'
import { type LegalHold } from '../../schemas/legal-hold.ts'
import { type Message } from '../../schemas/message.ts'
import { bearer, isProblem, JWT_SECRET, nobody } from '../edge.ts'
import { type Client, startApp, storeUri } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { age, DAY_MS } from './aged.ts'

const first = await startApp(t, { JWT_SECRET })
const second = await startApp(t, { JWT_SECRET, MONGODB_DATABASE: first.db.databaseName, BOOTSTRAP_API_KEY: first.adminKey })
const { app, client, db, clientFor } = first

const hold = async (body: Record<string, unknown>, who = client, headers = {}) =>
  await who.ask<LegalHold>('/api/legal-holds', { body: { reason: 'Case 17', ...body }, headers })
const remove = async (path: string, who: Client = client) => await who.ask(path, { method: 'DELETE' })
const lift = async ({ id }: { id: string }, who = client) => await remove(`/api/legal-holds/${id}`, who)
const say = async (session: string, who = client) =>
  (await who.ask<{ userMessage: Message, botMessage: Message }>(`/api/sessions/${session}/messages`, { body: { message: 'Hello' } })).body
const statusOf = async (path: string, who = client) => (await who.ask(path)).status
const keep = async (who: Client, rules: object) =>
  await who.ask('/api/retention', { method: 'PUT', body: { sessionsDays: null, messagesDays: null, deliveryLogsDays: 30, ...rules } })

/** A session of a tenant of its own, and what is to be known of it. */
async function conversation (name: string, userId?: string) {
  const who = await clientFor(name, 'admin')
  const config = await who.createConfig()
  const session = await who.createSession(config, userId === undefined ? {} : { userId })
  return { who, config, session, said: await say(session, who) }
}

t.test('a hold says what it is about, by whom and why, and stays as a record', async (t) => {
  const who = bearer(client, { sub: 'counsel', tid: 'records', scope: 'admin' })
  const session = await who.converse()
  const { status, headers, body: one } = await hold({ scope: 'session', sessionId: session }, who, { 'idempotency-key': 'k' })
  t.match({ status, location: headers.get('location') }, { status: 201, location: `/api/legal-holds/${one.id}` })
  t.match(one, {
    scope: 'session',
    sessionId: session,
    userId: null,
    reason: 'Case 17',
    status: 'active',
    createdAt: /Z$/,
    liftedAt: null,
    liftedBy: null,
    createdBy: { kind: 'jwt', id: 'counsel' }
  })
  t.equal((await hold({ scope: 'session', sessionId: session }, who, { 'idempotency-key': 'k' })).body.id, one.id, 'a repeat sets no other')
  const { body: two } = await hold({ scope: 'user', userId: 'anna' }, who)
  const { body: three } = await hold({ scope: 'tenant' }, who)
  const ids = async (query: string) => (await who.ask<{ data: LegalHold[] }>(`/api/legal-holds${query}`)).body.data.map(({ id }) => id)
  t.strictSame(await ids(''), [three.id, two.id, one.id])
  const { body: page } = await who.ask<{ nextCursor: string }>('/api/legal-holds?limit=2')
  t.strictSame(await ids(`?cursor=${page.nextCursor}`), [one.id])
  t.equal((await lift(two, who)).status, 204)
  t.equal((await lift(two, who)).status, 204, 'it stays lifted')
  t.match((await who.ask(`/api/legal-holds/${two.id}`)).body, { status: 'lifted', userId: 'anna', liftedAt: /Z$/, liftedBy: { id: 'counsel' } })
  t.strictSame([await ids('?status=active'), await ids('?status=lifted')], [[three.id, one.id], [two.id]])
  const { body: { data } } = await who.ask<{ data: unknown[] }>(`/api/audit?targetId=${two.id}`)
  t.match(data.slice(1), [{ action: 'legal-hold.lifted', before: { status: 'active' } }, { action: 'legal-hold.set', after: { reason: 'Case 17', scope: 'user', userId: '***' } }])
  for (const { id } of [one, three]) await lift({ id }, who)
  t.match((await remove('/api/end-users/anna', who)).body, { status: 'completed' })
  t.match((await who.ask(`/api/legal-holds/${two.id}`)).body, { userId: null, reason: 'Case 17' }, 'who is erased is named no more')

  const stranger = await clientFor('elsewhere', 'admin')
  isProblem(t, await stranger.ask(`/api/legal-holds/${one.id}`), 'not_found')
  isProblem(t, await lift(one, stranger), 'not_found')
  isProblem(t, await hold({ scope: 'session', sessionId: session }, stranger), 'not_found')
  isProblem(t, await hold({ scope: 'session', sessionId: nobody }), 'not_found')
  isProblem(t, await hold({ scope: 'tenant' }, await clientFor('records', 'sessions:write', 'configs:write')), 'forbidden')
  for (const wrong of [
    {}, { scope: 'config' }, { scope: 'user' }, { scope: 'session' }, { scope: 'session', sessionId: 'x' }, { scope: 'tenant', userId: 'anna' },
    { scope: 'user', userId: 'anna', sessionId: session }, { scope: 'user', userId: '' }, { scope: 'tenant', reason: ' ' }, { scope: 'tenant', reason: 'x'.repeat(1001) }
  ]) isProblem(t, await hold(wrong, who), 'validation_failed', JSON.stringify(wrong).slice(0, 60))
})

t.test('what a session has is kept, whoever wants to remove it', async (t) => {
  const { who, config, session, said } = await conversation('sessions', 'anna')
  const { body: held } = await hold({ scope: 'session', sessionId: session }, who)
  const messages = `/api/sessions/${session}/messages`
  const anna = bearer(client, { sub: 'anna', tid: 'sessions', scope: 'chat' })
  for (const path of [`/api/sessions/${session}`, messages, `${messages}/${said.botMessage.id}`, `/api/configs/${config}`, '/api/end-users/anna']) {
    isProblem(t, await remove(path, who), 'legal_hold', path)
  }
  const refused = await remove(`/api/sessions/${session}`, anna)
  isProblem(t, refused, 'legal_hold')
  t.notMatch(JSON.stringify(refused.body), 'Case')
  t.equal((await say(session, anna)).botMessage.status, 'completed', 'it goes on')
  const other = await who.createSession(config, { userId: 'berta' })
  t.equal((await remove(`/api/sessions/${other}`, who)).status, 204, 'others are removed as ever')
  t.equal((await remove('/api/end-users/berta', who)).status, 202)
  const { body: { id: response } } = await who.ask<{ id: string }>('/v1/responses', { body: { model: await who.createConfig(), input: 'Hello' } })
  const { body: all } = await hold({ scope: 'tenant' }, who)
  t.match(await remove(`/v1/responses/${response}`, who), { status: 409, body: { error: { code: 'legal_hold' } } })
  await lift(all, who)
  t.equal((await remove(`/v1/responses/${response}`, who)).status, 200)
  await lift(held, who)
  t.equal((await remove(`${messages}/${said.botMessage.id}`, who)).status, 204)
  t.equal((await remove(messages, who)).status, 204)
  t.equal((await remove(`/api/sessions/${session}`, who)).status, 204)
  t.equal((await remove(`/api/configs/${config}`, who)).status, 204)
})

t.test('of a user, sessions that come later are kept, too; of a tenant, all are', async (t) => {
  const { who, config, session } = await conversation('users', 'anna')
  const { body: held } = await hold({ scope: 'user', userId: 'anna' }, who)
  const { body: again } = await hold({ scope: 'user', userId: 'anna' }, who)
  const later = await who.createSession(config, { userId: 'anna' })
  const elsewhere = await who.createConfig()
  const { body: another } = await hold({ scope: 'user', userId: 'berta' }, who)
  for (const path of [`/api/sessions/${session}`, `/api/sessions/${later}`, '/api/end-users/anna', `/api/configs/${config}`]) isProblem(t, await remove(path, who), 'legal_hold', path)
  t.equal((await remove(`/api/configs/${elsewhere}`, who)).status, 204, 'nobody who is held has spoken there')
  await lift(held, who)
  isProblem(t, await remove(`/api/sessions/${session}`, who), 'legal_hold', 'another hold keeps it')
  await lift(again, who)
  await lift(another, who)
  const { body: all } = await hold({ scope: 'tenant' }, who)
  const nobodys = await who.createSession(config)
  for (const path of [`/api/sessions/${nobodys}`, `/api/configs/${config}`, '/api/end-users/not-known']) isProblem(t, await remove(path, who), 'legal_hold', path)
  t.equal((await remove(`/api/sessions/${await client.converse()}`)).status, 204, 'another tenant')
  await lift(all, who)
  t.match((await remove('/api/end-users/anna', who)).status, 202)
  t.equal((await remove(`/api/configs/${config}`, who)).status, 204)
})

t.test('retention passes over what is held, and takes it when that is lifted', async (t) => {
  const { who, config, session } = await conversation('retained', 'anna')
  await keep(who, { sessionsDays: 30, messagesDays: 10, deliveryLogsDays: 2 })
  const [free, young] = [await who.createSession(config), await who.createSession(config, { userId: 'anna' })]
  for (const id of [session, free, young]) await say(id, who)
  for (const id of [session, free]) await age(db, id, 31)
  await age(db, young, 11, 2)
  const createdAt = new Date(Date.now() - 3 * DAY_MS)
  await db.collection('webhookDeliveries').insertMany([session, free].map((about) => (
    { tenantId: 'retained', endpointId: new ObjectId(), eventId: about, about: [`session:${about}`], createdAt, status: 'failed' }
  )))
  const logs = async () => await db.collection('webhookDeliveries').countDocuments({ tenantId: 'retained' })
  const { body: all } = await hold({ scope: 'tenant' }, who)
  await app.retention.run()
  t.strictSame([await statusOf(`/api/sessions/${free}`, who), await logs()], [200, 2])
  const { body: user } = await hold({ scope: 'user', userId: 'anna' }, who)
  const { body: one } = await hold({ scope: 'session', sessionId: session }, who)
  await lift(all, who)
  await app.retention.run()
  t.strictSame([await statusOf(`/api/sessions/${free}`, who), await statusOf(`/api/sessions/${session}`, who), await logs()], [404, 200, 1])
  t.match((await who.ask(`/api/sessions/${young}`)).body, { messageCount: 2 })
  await say(young, who)
  await app.retention.run()
  t.match((await who.ask(`/api/sessions/${young}`)).body, { messageCount: 4 })
  await lift(user, who)
  await app.retention.run()
  t.match((await who.ask(`/api/sessions/${young}`)).body, { messageCount: 2 })
  t.equal(await statusOf(`/api/sessions/${session}`, who), 200)
  await lift(one, who)
  await app.retention.run()
  t.strictSame([await statusOf(`/api/sessions/${session}`, who), await logs()], [404, 0])
  t.strictSame(await checkLedger(await storeUri(), db.databaseName), [])
})

const claimOf = async (session: string) => (await db.collection('sessions').findOne({ _id: new ObjectId(session) }))?.['leaving'] as unknown

/** Sets a hold on the other replica when this one has claimed something and found no hold: the last moment for it to win. */
function holdMeanwhile (t: Test, tenant: string, body: Record<string, unknown>): Promise<LegalHold> {
  const { legalHolds } = app.store
  const [free, isChatbotHeld] = [legalHolds.free.bind(legalHolds), legalHolds.isChatbotHeld.bind(legalHolds)]
  const there = bearer(second.client, { sub: 'counsel', tid: tenant, scope: 'admin' })
  const set = Promise.withResolvers<LegalHold>()
  const restore = () => { Object.assign(legalHolds, { free, isChatbotHeld }) }
  const come = async () => {
    restore()
    set.resolve((await hold(body, there)).body)
    await set.promise
  }
  legalHolds.free = async <S extends { id: string, tenantId: string, configId: string, userId: string | null }>(tenantId: string, sessions: readonly S[]) => {
    const found = await free(tenantId, sessions)
    if (found[0] && typeof await claimOf(found[0].id) === 'string') await come()
    return found
  }
  legalHolds.isChatbotHeld = async (...of) => {
    const isHeld = await isChatbotHeld(...of)
    await come()
    return isHeld
  }
  t.teardown(restore)
  return set.promise
}

t.test('a hold that is answered while something is about to be removed wins, on another replica, too', async (t) => {
  const { who, config, session, said } = await conversation('races', 'anna')
  const messages = `/api/sessions/${session}/messages`
  const paths = [`/api/sessions/${session}`, messages, `${messages}/${said.userMessage.id}`, `/api/configs/${config}`]
  for (const path of paths) {
    const held = holdMeanwhile(t, 'races', { scope: 'session', sessionId: session })
    isProblem(t, await remove(path, who), 'legal_hold', path)
    t.match((await who.ask(`/api/sessions/${session}`)).body, { messageCount: 2 }, path)
    t.notOk(await claimOf(session))
    await lift(await held, who)
  }
  const byUser = holdMeanwhile(t, 'races', { scope: 'user', userId: 'anna' })
  const erasure = await who.ask<{ id: string, status: string }>('/api/end-users/anna', { method: 'DELETE' })
  t.match(erasure, { status: 202, body: { status: 'running' } }, 'an erasure waits')
  await app.erasures.resume()
  t.equal(await statusOf(`/api/sessions/${session}`, who), 200)
  isProblem(t, await remove('/api/end-users/anna', who), 'legal_hold')
  await keep(who, { sessionsDays: 30 })
  await age(db, session, 31)
  await lift(await byUser, who)
  const again = holdMeanwhile(t, 'races', { scope: 'session', sessionId: session })
  await app.retention.run()
  t.equal(await statusOf(`/api/sessions/${session}`, who), 200, 'retention does not take it')
  await keep(who, { messagesDays: 30 })
  await lift(await again, who)
  const last = holdMeanwhile(t, 'races', { scope: 'tenant' })
  await app.retention.run()
  t.match((await who.ask(`/api/sessions/${session}`)).body, { messageCount: 2 }, 'nor its messages')
  await lift(await last, who)
  await app.erasures.resume()
  t.match((await who.ask(`/api/erasures/${erasure.body.id}`)).body, { status: 'completed', removed: { sessions: 1, messages: 2 } }, 'it goes on')
  t.equal(await statusOf(`/api/sessions/${session}`, who), 404)
})

t.test('a hold that comes while an erasure removes what it has hidden stops it', async (t) => {
  const { who, session } = await conversation('erasing', 'anna')
  const { purges } = app.store
  const countMessages = purges.countMessages.bind(purges)
  const held = Promise.withResolvers<LegalHold>()
  purges.countMessages = async (...of) => {
    purges.countMessages = countMessages
    held.resolve((await hold({ scope: 'user', userId: 'anna' }, who)).body)
    await held.promise
    return await countMessages(...of)
  }
  const { body: { id } } = await who.ask<{ id: string }>('/api/end-users/anna', { method: 'DELETE' })
  await held.promise
  await app.erasures.resume()
  t.match((await who.ask(`/api/erasures/${id}`)).body, { status: 'running' })
  t.equal(await db.collection('messages').countDocuments({ sessionId: new ObjectId(session) }), 2)
  await lift(await held.promise, who)
  await app.erasures.resume()
  t.match((await who.ask(`/api/erasures/${id}`)).body, { status: 'completed', removed: { sessions: 1, messages: 2 } })
})

t.test('a hold on a session that goes meanwhile is none', async (t) => {
  const { who, session } = await conversation('late')
  const { legalHolds } = app.store
  const countActive = legalHolds.countActive.bind(legalHolds)
  legalHolds.countActive = async (...of) => {
    legalHolds.countActive = countActive
    t.equal((await remove(`/api/sessions/${session}`, who)).status, 204)
    return await countActive(...of)
  }
  isProblem(t, await hold({ scope: 'session', sessionId: session }, who), 'not_found')
  t.strictSame((await who.ask<{ data: unknown[] }>('/api/legal-holds')).body.data, [])
})

t.test('who is held and begins to speak just when a configuration goes is kept all the same', async (t) => {
  const { who, config } = await conversation('speaking')
  const { body: held } = await hold({ scope: 'user', userId: 'anna' }, who)
  const { sessions } = app.store
  const anyWith = sessions.anyWith.bind(sessions)
  sessions.anyWith = async (...of) => {
    sessions.anyWith = anyWith
    const isAny = await anyWith(...of)
    await say(await who.createSession(config, { userId: 'anna' }), who)
    return isAny
  }
  t.equal((await remove(`/api/configs/${config}`, who)).status, 204)
  const left = async () => await db.collection('messages').countDocuments({ tenantId: 'speaking', userId: 'anna' })
  await app.chat.purge()
  t.equal(await left(), 2)
  await lift(held, who)
  await app.chat.purge()
  t.equal(await left(), 0)
})

t.test('two who remove the same, or of the same, do not hinder each other', async (t) => {
  const { who, config, session } = await conversation('twice')
  const sent = await Promise.all(Array.from({ length: 3 }, async () => await say(await who.createSession(config), who)))
  const messages = [sent[0]!.userMessage, sent[0]!.botMessage]
  const path = `/api/sessions/${messages[0]!.sessionId}/messages`
  t.strictSame((await Promise.all(messages.map(async ({ id }) => await remove(`${path}/${id}`, who)))).map(({ status }) => status), [204, 204])
  const statuses = (await Promise.all([1, 2, 3].map(async () => await remove(`/api/sessions/${session}`, who)))).map(({ status }) => status)
  t.ok(statuses.includes(204) && statuses.every((status) => [204, 404].includes(status)), statuses.join())
  const deleted = (await Promise.all([1, 2].map(async () => await remove(`/api/configs/${config}`, who)))).map(({ status }) => status)
  t.ok(deleted.includes(204) && deleted.every((status) => [204, 404].includes(status)), deleted.join())
})

t.test('a tenant has so many holds at most', async (t) => {
  const who = await clientFor('many', 'admin')
  await db.collection('legalHolds').insertMany(Array.from({ length: 1000 }, () => ({ tenantId: 'many', status: 'active', createdAt: new Date() })))
  isProblem(t, await hold({ scope: 'tenant' }, who), 'conflict')
})

t.test('turns know nothing of claims and holds', async (t) => {
  const { who, session } = await conversation('turns', 'anna')
  await hold({ scope: 'user', userId: 'anna' }, who)
  // What was deleted before is purged behind the answers.
  await app.chat.purge()
  const asked: string[] = []
  const listen = ({ command }: CommandStartedEvent) => { asked.push(JSON.stringify(command)) }
  app.mongo.client.on('commandStarted', listen)
  await say(session, who)
  app.mongo.client.off('commandStarted', listen)
  t.notMatch(asked.join(), /legalHolds|leaving/)
})
