import { ObjectId } from 'mongodb'
import t from 'tap'
import { type Message as MessageView } from '../../schemas/message.ts'
import { bearer, isProblem, JWT_SECRET, nobody } from '../edge.ts'
import { FeedReader, told } from '../feeds.ts'
import { allOf, type Client, type SentEvent, startApp } from '../helper.ts'
import { leaveTurn, startReplicas, writeMessages } from '../replicas.ts'
import { startAppWithSim, StepClock } from '../sim.ts'

interface Exchange extends Record<string, unknown> { userMessage: MessageView, botMessage: MessageView }

// One app for all tests that need no other; what is a tenant's has a tenant of its own.
const shared = await startApp(t, { JWT_SECRET })
/** The names of events; of a text in pieces, one. */
const names = (events: readonly SentEvent[]) =>
  events.map(({ event }) => event).filter((event, i, all) => event !== 'message.delta' || all[i - 1] !== event)
const feedOf = (session: string) => `/api/sessions/${session}/events`
const send = async (client: Client, session: string, message: string) =>
  (await client.ask<Exchange>(`/api/sessions/${session}/messages`, { body: { message } })).body
const patch = async (client: Client, session: string, body: object) =>
  await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body })

const turn = ['message.started', 'message.delta', 'message.completed']

/** Everything that can happen in a session, except its end. `beforeErasure`: whoever is too late is not told what was erased. */
async function live (client: Client, session: string, beforeErasure = async () => {}) {
  const path = `/api/sessions/${session}/messages`
  const { userMessage, botMessage } = await send(client, session, 'Grüße 👋 one')
  await patch(client, session, { title: 'Shipping' })
  await client.ask(`${path}/${botMessage.id}/feedback`, { method: 'PUT', body: { rating: 'down', comment: 'too long', tags: ['long'] } })
  await client.ask(`${path}/${botMessage.id}/feedback`, { method: 'DELETE' })
  const regenerated = (await client.ask<Exchange>(`${path}/${botMessage.id}/regenerate`, { method: 'POST' })).body
  const edited = (await client.ask<Exchange>(`${path}/${userMessage.id}`, { method: 'PUT', body: { message: 'two' } })).body
  await patch(client, session, { branchId: session, metadata: { a: 1 } })
  await client.ask(`${path}/${regenerated.botMessage.id}/feedback`, { method: 'PUT', body: { rating: 'up', comment: 'secret' } })
  await beforeErasure()
  await client.ask(`${path}/${regenerated.botMessage.id}`, { method: 'DELETE' })
  await patch(client, session, { status: 'ended' })
  return { userMessage, botMessage, regenerated, edited }
}

const lived = [
  ...turn, 'session.updated', 'message.feedback', 'message.feedback', ...turn, ...turn, 'session.updated', 'message.feedback',
  'message.deleted', 'session.updated'
]
const isLastOfLife = ({ data }: SentEvent) => data['status'] === 'ended'

t.test('a reader is told all that happens in a session, once and in order, up to its end', async (t) => {
  const { client } = shared
  const session = await client.converse()
  const reader = await FeedReader.open(t, client, feedOf(session))
  t.match(reader.response.headers.get('content-type'), 'text/event-stream')
  t.match(reader.response.headers.get('cache-control'), 'no-store, no-transform')
  const events: SentEvent[] = []
  const hear = async (isLast: (event: SentEvent) => boolean) => { events.push(...await reader.until(isLast)) }
  const isRatedAnew = ({ data }: SentEvent) => (data['feedback'] as { rating?: string } | null | undefined)?.rating === 'up'
  const { userMessage, botMessage, regenerated, edited } = await live(client, session, async () => await hear(isRatedAnew))
  await hear(isLastOfLife)
  await client.ask(`/api/sessions/${session}/messages`, { method: 'DELETE' })
  await hear(({ event }) => event === 'session.cleared')
  await client.ask(`/api/sessions/${session}`, { method: 'DELETE' })
  await hear(() => false)

  t.same(names(events), ['feed.started', ...lived, 'session.cleared', 'session.deleted'])
  t.equal(new Set(events.map(({ id }) => id)).size, events.length, 'each has an id of its own')
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
  const data = told(events).map((event) => event.data)
  t.same(data[0], {
    userMessage, botMessage: { ...pick(botMessage, begun), content: '', status: 'streaming' }, branchId: session
  })
  t.match(told(events)[1], { text: botMessage.content, data: { botMessage } })
  t.match(data[2], { sessionId: session, at, title: 'Shipping' })
  t.notHas(data[2], 'metadata')
  const feedback = { rating: 'down', comment: 'too long', tags: ['long'], at }
  t.match(data[3], { sessionId: session, at, messageId: botMessage.id, feedback })
  t.match(data[4], { messageId: botMessage.id, feedback: null })
  t.match(data[5], { userMessage, botMessage: { replyTo: userMessage.id, content: '' }, branchId: regenerated.botMessage.branchId })
  t.match(data[7], { userMessage: { content: 'two', editOf: userMessage.id }, branchId: edited.userMessage.branchId })
  t.match(data[9], { branchId: session, metadata: { a: 1 } })
  t.match(data[11], { messageId: regenerated.botMessage.id, seq: 3 })
  t.match(data[12], { status: 'ended' })
  t.match(data[13], { sessionId: session, at, throughSeq: 5 })
  t.match(data[14], { sessionId: session, at })
  isProblem(t, await client.ask(feedOf(session), { headers: { 'last-event-id': events[3]!.id! } }), 'not_found')
})

const begun = ['id', 'sessionId', 'seq', 'parentId', 'branchId', 'role', 'timestamp', 'replyTo'] as const
const pick = (message: MessageView, members: readonly string[]) =>
  Object.fromEntries(Object.entries(message).filter(([name]) => members.includes(name)))

t.test('a reader that comes back anywhere is told what is left, and what was erased meanwhile stays erased', async (t) => {
  const { client } = shared
  const session = await client.converse()
  const reader = await FeedReader.open(t, client, feedOf(session))
  const { regenerated } = await live(client, session)
  const events = await reader.until(isLastOfLife)
  for (const [i, { id }] of events.entries()) {
    const again = await FeedReader.open(t, client, feedOf(session), id)
    const rest = i === events.length - 1 ? [] : await again.until(isLastOfLife)
    again.leave()
    const seen = told([...events.slice(0, i + 1), ...rest])
    t.same(seen.map(({ event, id }) => [event, id]), told(events).map(({ event, id }) => [event, id]), `after event ${i}`)
    const erased = seen.filter(({ data }) => JSON.stringify(data).includes(regenerated.botMessage.id))
    t.equal(erased.length, 4, 'its beginning, its end, its rating and its deletion')
    if (i < 3) t.notMatch(JSON.stringify(erased), /secret|"up"|Grüße 👋 one"}/, 'without what was in it')
  }
  const byQuery = await FeedReader.open(t, client, `${feedOf(session)}?cursor=${events.at(-2)!.id}`)
  t.same(await byQuery.next(), events.at(-1))
  const both = await FeedReader.open(t, client, `${feedOf(session)}?cursor=${events[1]!.id}`, events.at(-2)!.id)
  t.same(await both.next(), events.at(-1), 'Last-Event-ID comes first')

  await client.ask(`/api/sessions/${session}/messages`, { method: 'DELETE' })
  const afterwards = await FeedReader.open(t, client, feedOf(session), events[0]!.id)
  const left = await afterwards.untilEvent('session.cleared')
  t.same(names(left), [...lived.filter((name) => !turn.includes(name)), 'session.cleared'])
  t.notMatch(JSON.stringify(left), /too long|secret/)
})

t.test('a reply that is being written is told from its beginning, and what is changed meanwhile comes before its end', async (t) => {
  const clock = new StepClock()
  const { first, second } = await startReplicas(t, clock)
  const session = await first.client.converse()
  await patch(first.client, session, { title: 'before' })
  const sent = allOf((await first.client.events(`/api/sessions/${session}/messages`, { body: { message: 'one two three four' } })).events)
  await clock.step(3)
  const readers = await Promise.all([first, second].map(async ({ client }) => await FeedReader.open(t, client, feedOf(session))))
  for (const reader of readers) {
    t.same(names(await reader.untilEvent('message.delta')), ['feed.started', 'message.started', 'message.delta'])
  }
  await patch(second.client, session, { title: 'meanwhile' })
  for (const reader of readers) t.match((await reader.untilEvent('session.updated')).at(-1), { data: { title: 'meanwhile' } })
  clock.run()
  await sent
  await patch(first.client, session, { title: 'after' })
  const ends = await Promise.all(readers.map(async (reader) => told(await reader.untilEvent('session.updated'))))
  t.same(ends[0]!.map(({ event, id }) => [event, id]), ends[1]!.map(({ event, id }) => [event, id]), 'here and on another replica')
  t.same(ends[0]!.map(({ event }) => event), ['message.completed', 'session.updated'])
})

t.test('turns that ended badly are told as they are', async (t) => {
  const { client, app, db, sim } = await startAppWithSim(t)
  sim.script([{ fault: { status: { code: 400 } } }])
  const failing = await client.converse()
  const reader = await FeedReader.open(t, client, feedOf(failing))
  await send(client, failing, 'one')
  t.match((await reader.untilEvent('message.failed')).at(-1), {
    data: { botMessage: { status: 'failed' }, problem: { code: 'upstream_rejected', instance: feedOf(failing) } }
  })

  for (const messages of [0, 1, 2] as const) {
    const { session, botId } = await leaveTurn({ client, db } as never, { messages })
    const waiting = await FeedReader.open(t, client, feedOf(session))
    // Looks for what may still be on its way.
    for (let looks = 0; looks < 3; looks++) await client.ask(`/api/sessions/${session}`)
    await app.chat.reap()
    await client.ask(`/api/sessions/${session}/messages?onBusy=queue`, { body: { message: 'next' } })
    const events = await waiting.untilEvent('message.completed')
    const left = [[], ['message.started'], ['message.started', 'message.delta', 'message.interrupted']][messages]!
    t.same(names(events), ['feed.started', ...left, ...turn], `${messages} messages`)
    if (messages === 1) t.notHas(events[1]!.data, 'botMessage')
    const interrupted = events.find(({ event }) => event === 'message.interrupted')
    if (messages === 2) t.match(interrupted!.data, { botMessage: { id: botId.toHexString() } })
  }
})

t.test('a change waits for the messages of its turn', async (t) => {
  const { client, db } = shared
  const { session, botId } = await leaveTurn({ client, db } as never, { messages: 0 })
  const inSession = { _id: new ObjectId(session) }
  await db.collection('sessions').updateOne(inSession, { $set: { 'turn.leaseUntil': new Date(Date.now() + 60_000) } })
  const reader = await FeedReader.open(t, client, feedOf(session))
  await patch(client, session, { title: 'meanwhile' })
  await writeMessages({ db }, session, botId, 'completed')
  await db.collection('sessions').updateOne(inSession, { $set: { turn: null } })
  t.same(names(await reader.untilEvent('message.completed')), [
    'feed.started', 'message.started', 'message.delta', 'session.updated', 'message.completed'
  ])
})

t.test('a session that is gone in another way ends its feed, too', async (t) => {
  const { client, db } = shared
  const config = await client.createConfig()
  const session = await client.createSession(config)
  const [reader, late] = [await FeedReader.open(t, client, feedOf(session)), await FeedReader.open(t, client, feedOf(session))]
  await client.ask(`/api/configs/${config}`, { method: 'DELETE' })
  t.same(names(await reader.until(() => false)), ['feed.started', 'session.deleted'])
  t.same(names(await late.until(() => false)), ['feed.started', 'session.deleted'])

  // Removed while its process was still writing, or so it seems.
  const { session: lost, botId } = await leaveTurn({ client, db } as never, { messages: 2 })
  await db.collection('sessions').updateOne({ _id: new ObjectId(lost) }, { $set: { 'turn.leaseUntil': new Date(Date.now() + 60_000) } })
  const following = await FeedReader.open(t, client, feedOf(lost))
  await following.untilEvent('message.delta')
  await db.collection('messages').deleteMany({ sessionId: new ObjectId(lost) })
  await db.collection('sessions').deleteOne({ _id: new ObjectId(lost) })
  t.same(names(await following.until(() => false)), ['session.deleted'], botId.toHexString())
})

t.test('a feed that cannot go on asks its reader to come back', async (t) => {
  const { client, db } = shared
  const session = await client.converse()
  const reader = await FeedReader.open(t, client, feedOf(session))
  await reader.next()
  await db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $unset: { configId: '' }, $inc: { rev: 1 } })
  t.same(names(await reader.until(() => false)), ['stream.reconnect'])
})

t.test('long histories are told from any point', async (t) => {
  const { client, db } = shared
  const session = await client.converse()
  const reader = await FeedReader.open(t, client, feedOf(session))
  const start = (await reader.next())!.id
  await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'x' } })
  const [user, bot] = await db.collection('messages').find({ sessionId: new ObjectId(session) }).sort({ seq: 1 }).toArray()
  const entry = {
    tenantId: 'default', sessionId: new ObjectId(session), during: null, at: new Date(), type: 'session.updated', messageId: null
  }
  // Turns and changes by turns, more than are read at once of either.
  const turns = Array.from({ length: 130 }, (_, i) => ({ rev: 2 * i + 2, seq: 2 * i + 3 }))
  await db.collection('messages').insertMany(turns.flatMap(({ rev, seq }) => {
    const id = new ObjectId()
    return [{ ...user, _id: id, rev, seq }, { ...bot, _id: new ObjectId(), replyTo: id, rev, seq: seq + 1 }]
  }))
  await db.collection('changes').insertMany(turns.map(({ rev }) => (
    { ...entry, _id: `${session}:${rev + 1}` as never, rev: rev + 1, data: { title: `${rev + 1}` }, publishedAt: new Date() }
  )))
  await db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $set: { rev: 261, nextSeq: 263 } })
  const late = await FeedReader.open(t, client, feedOf(session), start)
  const events = told(await late.until(({ data }) => data['title'] === '261'))
  t.same(events.map(({ event }) => event), [
    'message.started', 'message.completed', ...turns.flatMap(() => ['message.started', 'message.completed', 'session.updated'])
  ])
  t.same(events.filter(({ event }) => event === 'message.started').map(({ data }) => (data['botMessage'] as MessageView).seq),
    Array.from({ length: 131 }, (_, i) => 2 * i + 2))
})

t.test('a tenant is told all that happens in its sessions, or some of it', async (t) => {
  const { clientFor } = shared
  const client = await clientFor('told', 'admin')
  const [config, otherConfig] = [await client.createConfig(), await client.createConfig()]
  const session = await client.createSession(config, { userId: 'ada' })
  const other = await client.createSession(otherConfig, { userId: 'eve' })
  const foreign = await clientFor('other', 'admin')
  const queries = [
    '', `?configId=${config}`, '?userId=ada', '?types=session.updated,message.completed', '?types=message.started&userId=ada',
    '?types=session.deleted'
  ]
  const readers = await Promise.all(queries.map(async (query) => await FeedReader.open(t, client, `/api/events${query}`)))
  const { id } = (await readers[0]!.next())!
  await foreign.ask(`/api/sessions/${await foreign.converse()}/messages`, { body: { message: 'foreign' } })
  const { botMessage } = await live(client, session)
  await send(client, other, 'other')
  const [gone, doomed] = [await client.createSession(config, { userId: 'ada' }), await client.createConfig()]
  await send(client, gone, 'gone')
  await client.ask(`/api/sessions/${gone}`, { method: 'DELETE' })
  await patch(client, session, { title: 'the end' })
  const last = await client.createSession(doomed)
  await client.ask(`/api/configs/${doomed}`, { method: 'DELETE' })

  const isLast = ({ event, data }: SentEvent) => event === 'session.updated' && data['title'] === 'the end'
  const [all, ofConfig, ofUser, someTypes, starts, deletions] = await Promise.all(readers.map(async (reader, i) =>
    await reader.until((event) =>
      isLast(event) || (i === 4 && JSON.stringify(event).includes('"two"')) || event.data['sessionId'] === last)))
  const withoutText = lived.filter((name) => name !== 'message.delta')
  t.same(names(all!), [...withoutText, 'message.started', 'message.completed', 'session.deleted', 'session.updated'])
  t.match(all![1], { data: { botMessage } })
  t.match(all!.at(-2), { data: { sessionId: gone } })
  t.notMatch(JSON.stringify(all), /foreign|secret/)
  t.same(names(ofConfig!), ['feed.started', ...withoutText, 'session.deleted', 'session.updated'])
  t.same(names(ofUser!), ['feed.started', ...withoutText, 'session.updated'], 'whose a deleted session was, is forgotten')
  const ofTypes = withoutText.filter((name) => ['session.updated', 'message.completed'].includes(name))
  t.same(names(someTypes!), ['feed.started', ...ofTypes, 'message.completed', 'session.updated'])
  t.match(starts!.slice(1).map(({ data }) => (data['botMessage'] as MessageView).seq), [2, 3, 5])
  t.same(deletions!.slice(1).map(({ data }) => data['sessionId']), [gone, last], 'one was deleted with its chatbot')

  for (const [i, { id: cursor }] of [{ id }, ...all!].entries()) {
    const again = await FeedReader.open(t, client, `/api/events?cursor=${cursor}`)
    if (i < all!.length) t.same(await again.until(isLast), all!.slice(i), `after event ${i}`)
    again.leave()
  }
})

t.test('what happened in one moment is told whole, however much it is', async (t) => {
  const { db } = shared
  const client = await shared.clientFor('moment', 'admin')
  const session = await client.converse()
  const reader = await FeedReader.open(t, client, '/api/events')
  const { id } = (await reader.next())!
  await send(client, session, 'x')
  const stored = await db.collection('messages').find({ tenantId: 'moment' }).sort({ seq: 1 }).toArray()
  // More than are read at once, and their replies have not ended.
  const copies = Array.from({ length: 130 }, (_, i) => stored.map(({ endedAt: _e, ...message }) => (
    { ...message, _id: new ObjectId(), seq: message['seq'] as number + 2 * i + 2, rev: i + 2 }
  )))
  await db.collection('messages').insertMany(copies.flat())
  await patch(client, session, { title: 'the end' })
  const events = await (await FeedReader.open(t, client, `/api/events?cursor=${id}`)).untilEvent('session.updated')
  const seqs = events.filter(({ event }) => event === 'message.started').map(({ data }) => (data['botMessage'] as MessageView).seq)
  t.same(seqs, Array.from({ length: 131 }, (_, i) => 2 * i + 2))
  const middle = await FeedReader.open(t, client, '/api/events', events[70]!.id)
  t.same(await middle.untilEvent('session.updated'), events.slice(71))
})

t.test('whose feed it is', async (t) => {
  const { client, clientFor } = shared
  const config = await client.createConfig()
  const session = await client.createSession(config, { userId: 'ada' })
  const [other, own] = [await client.createSession(config), bearer(client, { sub: 'ada', scope: 'chat' })]
  const reader = await FeedReader.open(t, own, feedOf(session))
  const { id } = (await reader.next())!
  await send(own, session, 'mine')
  t.match(await reader.next(), { data: { userMessage: { content: 'mine' } } })

  const foreign = await clientFor('other', 'admin')
  const notFound = async (who: Client, path: string) => {
    const answer = await who.ask(path, { headers: { 'x-request-id': 'same' } })
    isProblem(t, answer, 'not_found')
    return JSON.stringify(answer.body).replaceAll(/[0-9a-f]{24}/g, '')
  }
  t.equal(await notFound(foreign, feedOf(session)), await notFound(foreign, feedOf(nobody)), 'another tenant')
  const eve = bearer(client, { sub: 'eve', scope: 'chat' })
  t.equal(await notFound(eve, feedOf(session)), await notFound(foreign, feedOf(nobody)), 'another user')
  isProblem(t, await (await clientFor('default', 'configs:read')).ask(feedOf(session)), 'forbidden')
  isProblem(t, await own.ask('/api/events'), 'forbidden', 'chat is not enough for a tenant')
  isProblem(t, await client.with({}).ask('/api/events'), 'unauthenticated')

  for (const cursor of ['', 'x', '1:2:3', `${session}:1:2`, `${session}:1:2:x`, `${session}:99:2:end`, id!.replace(session, other)]) {
    isProblem(t, await client.ask(`${feedOf(session)}?cursor=${cursor}`), 'validation_failed', cursor)
    if (cursor === '') continue
    isProblem(t, await client.ask(feedOf(session), { headers: { 'last-event-id': cursor } }), 'validation_failed', cursor)
  }
  isProblem(t, await client.ask(feedOf(other), { headers: { 'last-event-id': id! } }), 'validation_failed', 'of another session')
  const unknownKind = Buffer.from('1::0:3').toString('base64url')
  for (const query of [
    'cursor=x', `cursor=${id}`, `cursor=${unknownKind}`, 'types=', 'types=x', 'types=message.delta', 'configId=x', 'userId='
  ]) {
    isProblem(t, await client.ask(`/api/events?${query}`), 'validation_failed', query)
  }
})

t.test('a feed ends where its reader can go on', async (t) => {
  const { client, app } = await startApp(t, {}, { feedMs: 30 })
  const session = await client.converse()
  for (const path of [feedOf(session), '/api/events']) {
    const reader = await FeedReader.open(t, client, path)
    t.same(names(await reader.until(() => false)), ['feed.started', 'stream.reconnect'], 'its credential is to be looked at again')
  }
  const { client: going, app: goingApp } = await startApp(t)
  const paths = [feedOf(await going.converse()), '/api/events']
  const readers = await Promise.all(paths.map(async (path) => await FeedReader.open(t, going, path)))
  for (const reader of readers) await reader.next()
  goingApp.server.closeIdleConnections()
  await goingApp.chat.drain(0)
  for (const reader of readers) t.same(names(await reader.until(() => false)), ['stream.reconnect'], 'the server is going away')
  const late = await FeedReader.open(t, going, '/api/events')
  t.same((await late.until(() => false)).at(-1)!.event, 'stream.reconnect')
  t.ok(app)
})
