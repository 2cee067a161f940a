import { setImmediate } from 'node:timers/promises'
import { ObjectId, type Db } from 'mongodb'
import t from 'tap'
import { type Search } from '../../src/search/search.ts'
import { startApp, type TestApp } from '../helper.ts'
import { leaveTurn } from '../replicas.ts'

const countOf = async (db: Db, collection: string) => await db.collection(collection).countDocuments({})

/** Writes that many messages and half as many changes into a session. */
async function fill (db: Db, session: string, count: number): Promise<void> {
  const stored = (await db.collection('sessions').findOne({ _id: new ObjectId(session) }))!
  const common = { tenantId: 'default', sessionId: stored._id, configId: stored['configId'] as ObjectId }
  await db.collection('messages').insertMany(Array.from({ length: count }, (_, i) => ({
    ...common, seq: i + 1, rev: i + 1, parentId: null, role: 'user', content: 'said', timestamp: new Date(), status: 'completed'
  })))
  await db.collection<{ _id: string }>('changes').insertMany(Array.from({ length: count / 2 }, (_, i) => ({
    _id: `${session}:${i}`, ...common, rev: i, type: 'session.updated', data: {}
  })))
  await db.collection('sessions').updateOne({ _id: stored._id }, { $set: { nextSeq: count + 1, rev: count } })
}

/** Which messages the search was told to forget, and whether they were still stored then. */
function watchSearch ({ app, db }: TestApp): { forgotten: Set<string>, tooLate: number } {
  const watched = { forgotten: new Set<string>(), tooLate: 0 }
  const search = app.messageSearch
  const forget: Search['forget'] = search.forget.bind(search)
  search.forget = async (messages) => {
    const ids = messages.map(({ id }) => new ObjectId(id))
    watched.tooLate += ids.length - await db.collection('messages').countDocuments({ _id: { $in: ids } })
    ids.forEach((id) => watched.forgotten.add(id.toHexString()))
    await forget(messages)
  }
  return watched
}

t.test('big and small sessions go with all that belongs to them, and the search forgets what was said before it is gone', async (t) => {
  const started = await startApp(t)
  const { app, client, db } = started
  const config = await client.createConfig()
  const [big, ...small] = await Promise.all(Array.from({ length: 12 }, async () => await client.createSession(config)))
  await fill(db, big!, 1100)
  for (const session of small) await fill(db, session, 10)
  const kept = await client.converse()
  await fill(db, kept, 4)
  const watched = watchSearch(started)
  t.equal((await client.ask(`/api/configs/${config}`, { method: 'DELETE' })).status, 204)
  await app.chat.purge()
  t.strictSame(await Promise.all(['configs', 'sessions', 'messages', 'changes'].map(async (name) => await countOf(db, name))), [1, 1, 4, 2 + 12], 'of each session stays that it was deleted')
  t.strictSame([watched.forgotten.size, watched.tooLate], [1100 + 11 * 10, 0])
})

t.test('closed in the middle, it ends after a step; another process goes on', async (t) => {
  const { app, client, db } = await startApp(t, {})
  const config = await client.createConfig()
  await fill(db, await client.createSession(config), 1100)
  const closed = Promise.withResolvers<void>()
  app.mongo.client.on('commandSucceeded', ({ commandName }) => {
    if (commandName === 'delete') app.chat.close().then(closed.resolve, closed.reject)
  })
  t.equal((await client.ask(`/api/configs/${config}`, { method: 'DELETE' })).status, 204)
  await closed.promise
  t.strictSame(await Promise.all(['sessions', 'messages', 'changes'].map(async (name) => await countOf(db, name))), [1, 600, 551])
  const again = await startApp(t, { MONGODB_DATABASE: db.databaseName })
  await again.app.chat.purge()
  t.strictSame(await Promise.all(['sessions', 'messages', 'changes'].map(async (name) => await countOf(db, name))), [0, 0, 1])
})

t.test('a session whose turn another process holds does not keep the others waiting', async (t) => {
  const started = await startApp(t)
  const { app, client, db } = started
  const { session: held } = await leaveTurn(started, { messages: 2 })
  const inAnHour = new Date(Date.now() + 3_600_000)
  await db.collection('sessions').updateOne({ _id: new ObjectId(held) }, { $set: { 'turn.leaseUntil': inAnHour } })
  const free = await client.converse()
  for (const session of [held, free]) t.equal((await client.ask(`/api/sessions/${session}`, { method: 'DELETE' })).status, 204)
  const purging = app.chat.purge()
  while (await countOf(db, 'sessions') > 1) await setImmediate()
  t.match(await db.collection('messages').findOne({ role: 'bot' }), { status: 'stopped' })
  await db.collection('sessions').updateOne({ _id: new ObjectId(held) }, { $set: { turn: null } })
  await purging
  t.strictSame([await countOf(db, 'sessions'), await countOf(db, 'messages')], [0, 0])
})

t.test('what was cleared goes, and what was said since stays', async (t) => {
  const started = await startApp(t)
  const { app, client, db } = started
  const session = await client.converse()
  await fill(db, session, 1100)
  const watched = watchSearch(started)
  await db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $set: { clearedSeq: 1098, clearing: true } })
  await app.chat.purge()
  t.strictSame((await db.collection('messages').find().sort({ seq: 1 }).toArray()).map(({ seq }) => seq as number), [1099, 1100])
  t.equal(watched.forgotten.size, 1098)
  const [stored] = await db.collection('sessions').find().toArray()
  t.strictSame([stored!['clearedSeq'], stored!['clearing']], [1098, undefined])
})

t.test('what is cleared while it is purged is purged, too', async (t) => {
  const started = await startApp(t)
  const { app, client, db } = started
  const session = await client.converse()
  await fill(db, session, 10)
  const sessions = db.collection('sessions')
  await sessions.updateOne({ _id: new ObjectId(session) }, { $set: { clearedSeq: 4, clearing: true } })
  app.messageSearch.forget = async () => { await sessions.updateOne({ _id: new ObjectId(session) }, { $set: { clearedSeq: 8 } }) }
  await app.chat.purge()
  t.equal(await countOf(db, 'messages'), 2)
  t.equal((await sessions.findOne({}))!['clearing'], undefined)
})
