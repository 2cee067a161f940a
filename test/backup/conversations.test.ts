import { join } from 'node:path'
import { BSON, ObjectId } from 'mongodb'
import t from 'tap'
import { BackupReader, type Batch } from '../../src/store/backup/backup-reader.ts'
import { afterConversations, beforeConversations, conversationCollections, lastCollection, leftOut } from '../../src/store/backup/collections.ts'
import { SessionCut, type LaterSession } from '../../src/store/backup/session-cut.ts'
import { startApp, temporaryFolder } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { backUp, restore, serverPlace } from './places.ts'

type Fields = Record<string, unknown>

const sessionId = new ObjectId()
const raw = (fields: Fields) => BSON.serialize(fields)
const plain = (bytes: Uint8Array | undefined) => bytes && BSON.deserialize(bytes)

/** A session with two turns behind it, as it is read. */
function cutOf (fields: Fields = {}): SessionCut {
  return new SessionCut(raw({
    _id: sessionId, configId: new ObjectId(), tenantId: 'default', status: 'active', nextSeq: 5, rev: 3, tipId: new ObjectId(), turn: null, ...fields
  }))
}

function kept (cut: SessionCut, fields: Fields): Fields | undefined {
  const message = { _id: new ObjectId(), sessionId, seq: 1, rev: 1, status: 'completed', content: 'Hello', ...fields }
  return plain(cut.message(raw(message), message as unknown as Parameters<SessionCut['message']>[1]))
}

const now = (later: LaterSession = { status: 'active' }) => later

t.test('messages and changes that came after their session was read are left out', async (t) => {
  const cut = cutOf()
  t.match(kept(cut, { seq: 4, rev: 2 }), { seq: 4 })
  t.equal(kept(cut, { seq: 5, rev: 4 }), undefined)
  // Its number was given twice: first to a turn that came to nothing.
  t.equal(kept(cut, { seq: 4, rev: 4 }), undefined)
  t.same([cut.hasChange({ rev: 3 }), cut.hasChange({ rev: 4 })], [true, false])
  t.match(plain(cut.session(now())), { nextSeq: 5, rev: 3 })
  // Before there were numbers of turns.
  t.match(kept(cutOf({ rev: undefined }), { rev: undefined, seq: 4 }), { seq: 4 })
})

t.test('a change that a message shows already keeps its number', async (t) => {
  const cut = cutOf()
  t.ok(kept(cut, { feedbackRev: 7 }))
  t.ok(kept(cut, { seq: 2, feedbackRev: 2 }))
  t.match(plain(cut.session(now())), { rev: 7, nextSeq: 5 })
})

t.test('a session that was deleted meanwhile is deleted, and one that was cleared is to be read again', async (t) => {
  const turn = { messageId: new ObjectId(), rev: 3, idempotencyKey: null }
  for (const later of [undefined, now({ status: 'deleted' })]) {
    t.match(plain(cutOf({ turn }).session(later)), { status: 'deleted', lastActivity: null, turn: null, tickets: [] })
  }
  t.match(plain(cutOf({ status: 'deleted', erasing: true }).session(now({ status: 'deleted' }))), { status: 'deleted', erasing: true })
  t.equal(cutOf({ turn }).session(now({ status: 'active', clearedSeq: 2 })), undefined)
})

t.test('a key that the running turn has taken over is borne once', async (t) => {
  const cut = cutOf({ turn: { messageId: new ObjectId(), rev: 3, idempotencyKey: 'k' } })
  const bearer = { idempotencyKey: 'k', requestHash: 'h' }
  t.notMatch(kept(cut, { ...bearer, status: 'failed' }), bearer)
  t.notMatch(kept(cut, { ...bearer, status: 'interrupted' }), bearer)
  t.match(kept(cut, { ...bearer, status: 'completed' }), bearer)
  t.match(kept(cut, { ...bearer, status: 'failed', rev: 3 }), bearer)
})

t.test('what is newer than what it belongs to is left out', async (t) => {
  const { db } = await serverPlace(t)
  const [config, gone, other] = [new ObjectId(), new ObjectId(), new ObjectId()]
  const version = (configId: ObjectId, version: number) => ({ configId, version })
  await db.collection('sessions').insertMany([config, gone].map((configId) => ({ configId, tenantId: 'default', nextSeq: 1, rev: 0, turn: null })))
  await db.collection('configs').insertMany([{ _id: config, version: 2 }, { _id: gone }, { _id: other }])
  await db.collection('configVersions').insertMany([version(config, 1), version(gone, 1)])
  const read: Record<string, Fields[]> = {}
  for await (const { collection, documents } of new BackupReader(db).read()) {
    read[collection] = [...read[collection] ?? [], ...documents.map((document) => plain(document)!)]
    if (collection === 'sessions') await db.collection('configs').deleteOne({ _id: gone })
    if (collection === 'configs') await db.collection('configVersions').insertMany([version(config, 2), version(other, 1)])
  }
  t.match(read['configs'], [{ _id: config }, { _id: other }, { _id: gone, tenantId: 'default', deletedAt: Date }])
  t.match(read['configVersions'], [version(config, 1)])
  t.equal(read['configVersions']!.length, 1)
})

t.test('a session that loses messages while it is read is read again', async (t) => {
  const { db } = await serverPlace(t)
  const [cleared, other] = [new ObjectId(), new ObjectId()]
  const session = (_id: ObjectId) => ({ _id, configId: _id, tenantId: 'default', status: 'active', nextSeq: 3, rev: 1, turn: null })
  const messages = [cleared, other].flatMap((sessionId) => [1, 2].map((seq) => ({ sessionId, seq, rev: 1, content: 'Hello' })))
  await db.collection('sessions').insertMany([session(cleared), session(other)])
  await db.collection('messages').insertMany(messages)
  const clear = async () => {
    await db.collection('sessions').updateOne({ _id: cleared }, { $set: { clearedSeq: 1, rev: 2 } })
    await db.collection('messages').deleteOne({ sessionId: cleared, seq: 1 })
    await db.collection('changes').updateOne({ sessionId: cleared }, { $set: { rev: 2 } }, { upsert: true })
  }
  // Changes are read behind the messages.
  const changes = db.collection('changes')
  const find: typeof changes.find = (...args: []) => Object.assign(changes.find(...args), {
    async * [Symbol.asyncIterator] () {
      await clear()
      yield * await changes.find(...args).toArray()
    }
  })
  const collection = (name: string) => name === 'changes' ? { find } : db.collection(name)
  const slow = Object.assign(Object.create(db) as object, { collection }) as unknown as typeof db
  const read: Batch[] = await Array.fromAsync(new BackupReader(slow).read())
  const of = (name: string): Fields[] => read.filter(({ collection }) => collection === name).flatMap(({ documents }) => documents.map((raw) => BSON.deserialize(raw)))
  t.match(of('sessions'), [{ _id: other, clearedSeq: undefined }, { _id: cleared, clearedSeq: 1, rev: 2 }])
  t.same(of('messages').map(({ sessionId, seq }) => [sessionId, seq]), [[other, 1], [other, 2], [cleared, 2]])
  t.match(of('changes'), [{ sessionId: cleared, rev: 2 }])
})

t.test('what an app has is found again by another one', async (t) => {
  const [first, { place, db }, folder] = await Promise.all([startApp(t, { QUOTA_TENANT_TOKENS_PER_DAY: '1000000' }), serverPlace(t), temporaryFolder(t)])
  const session = await first.client.converse()
  const send = { body: { message: 'Where is my parcel?' }, headers: { 'idempotency-key': 'k' } }
  const { body: said } = await first.client.ask<{ botMessage: { id: string } }>(`/api/sessions/${session}/messages`, send)
  // As if they were removed by an erasure that is not known, and by one that is.
  const { insertedIds: { 0: lost, 1: counted } } = await first.db.collection('sessions').insertMany(['lost', 'counted'].map((userId) => (
    { userId, tenantId: 'default', configId: new ObjectId(), status: 'deleted', erasing: true, nextSeq: 1, rev: 0, turn: null }
  )))
  await first.db.collection('erasures').insertOne({ tenantId: 'default', userId: 'counted', subject: 's', status: 'running' })
  const names = (await first.db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name)
  const placed = [...beforeConversations, ...conversationCollections, ...afterConversations, lastCollection, ...leftOut]
  t.same(names.filter((name) => !placed.includes(name)), [], 'each collection has its place in src/store/backup/collections.ts')

  for (const name of leftOut) await first.db.collection(name).insertOne({ until: new Date() })
  const { collections } = await backUp({ ...place, MONGODB_DATABASE: first.db.databaseName }, join(folder, 'backup'))
  t.same(collections.filter(({ name }) => leftOut.includes(name)), [], 'what must not come back is not in it')
  await restore(join(folder, 'backup'), place)
  t.match(await db.collection('sessions').findOne({ _id: new ObjectId(session) }), { unindexed: true, indexedSeq: undefined })
  t.match(await db.collection('quotaCounters').find().toArray(), [{ stale: true, reservations: [] }])
  t.same(await db.collection('sessions').find({ erasing: true }).map(({ _id }) => _id).toArray(), [counted])
  t.ok(await db.collection('sessions').findOne({ _id: lost }))
  await db.collection('erasures').deleteMany({})
  t.same(await checkLedger(place.MONGODB_URI!, place.MONGODB_DATABASE), [])

  const second = await startApp(t, { MONGODB_DATABASE: place.MONGODB_DATABASE, BOOTSTRAP_API_KEY: first.adminKey })
  const { body: again } = await second.client.ask<{ botMessage: { id: string } }>(`/api/sessions/${session}/messages`, send)
  t.equal(again.botMessage.id, said.botMessage.id, 'a message that is sent again is known')
  t.match(await second.client.ask('/api/messages/search?q=parcel'), { status: 200, body: { data: [{ message: { sessionId: session } }] } })
})
