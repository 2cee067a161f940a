import { Decimal128, Double, Long, MongoClient, ObjectId, Timestamp, type Document } from 'mongodb'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CommandError, errorReply, toCommandError } from '../../src/embedded-mongo/errors.ts'
import { Cursors } from '../../src/embedded-mongo/query/cursors.ts'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { lockDirectory } from '../../src/embedded-mongo/storage/lock.ts'
import { recordKey } from '../../src/embedded-mongo/storage/catalog.ts'
import { openStore, StoreServer } from '../../src/embedded-mongo/wire/server.ts'
import { Sorter } from '../../src/embedded-mongo/query/sorting.ts'
import { temporaryFolder } from '../helper.ts'
import { codeOf, openTestStore } from './helper.ts'

/** A document or filter with an _id of any type. */
function own (_id: unknown, rest: Document = {}): Document {
  return { _id, ...rest }
}

const bytes = (text: string) => Buffer.from(text)

t.test('indexes of every kind work after a restart, an unfinished one is gone', async (t) => {
  const directory = t.testdir()
  const lock = lockDirectory(directory)
  t.throws(() => lockDirectory(directory), /is in use by another process/)
  const first = openStore(directory)
  const collection = await first.storage.write(() => first.catalog.ensure('db', 'things'))
  await first.indexes.build(collection, { v: 2, key: { tags: 1 }, name: 'tags_1', sparse: true })
  await first.indexes.build(
    collection,
    {
      v: 2,
      key: { at: -1 },
      name: 'at_-1',
      expireAfterSeconds: Long.fromNumber(5),
      partialFilterExpression: { temp: true }
    }
  )
  await first.storage.write(() => {
    first.writes.insert('db', 'things', { _id: 1, tags: ['a', 'b'], at: new Date(5), temp: true })
    first.catalog.addIndex(collection, { v: 2, key: { unfinished: 1 }, name: 'unfinished_1' })
  })
  await first.storage.close()

  const second = openStore(directory)
  const server = new StoreServer(second)
  await server.start()
  const again = second.catalog.get('db.things')
  t.same(again.indexes.map(({ name }) => name), ['_id_', 'tags_1', 'at_-1'])
  t.match(again.indexes[1], { sparse: true, multikey: new Set(['tags']) })
  t.match(again.indexes[2], { expireAfterSeconds: 5, partial: { source: { temp: true } } })
  t.equal(again.nextRecordId, 2)
  await second.maintenance.sweep()
  t.equal(second.storage.get(recordKey(again.id, 1)), undefined, 'expired')
  t.same(second.catalog.dropped(), [], 'what the unfinished index left is purged')
  await server.close()
  lock.release()
  lockDirectory(directory).release()
})

/** Data whose expired document is none: the first sweep fails. */
async function spoiltData (t: Test): Promise<string> {
  const dataDir = await temporaryFolder(t)
  const store = openStore(dataDir)
  const collection = await store.storage.write(() => store.catalog.ensure('db', 'things'))
  await store.indexes.build(
    collection,
    { v: 2, key: { at: 1 }, name: 'at_1', expireAfterSeconds: 0, partialFilterExpression: { x: 1 } }
  )
  await store.storage.write(() => {
    store.writes.insert('db', 'things', { _id: 1, at: new Date(0), x: 1 })
    store.storage.put(recordKey(collection.id, 1), bytes('no BSON'))
  })
  await store.storage.close()
  return dataDir
}

/** How the owner of a store is told that it has failed: by the start where it was not ready yet, else by `onError`. */
async function failureOf (dataDir: string, meanwhile = () => {}): Promise<Error> {
  const { promise: failed, resolve } = Promise.withResolvers<Error>()
  const starting = startEmbeddedStore({ dataDir, sweepIntervalMs: 5, onError: resolve })
  meanwhile()
  try {
    const running = await starting
    await failed
    await running.close()
    return await failed
  } catch (error) {
    return error as Error
  }
}

t.test('a failure in the background ends the store, and its owner is told', async (t) => {
  t.match((await failureOf(await spoiltData(t))).message, /invalid BSON/)
})

t.test('an owner that is busy until the store has ended is told, too', async (t) => {
  const dataDir = await spoiltData(t)
  const isLocked = () => {
    try {
      lockDirectory(dataDir).release()
      return false
    } catch {
      return true
    }
  }
  const failure = await failureOf(dataDir, () => {
    // Nothing that the store's thread says is heard meanwhile.
    while (!existsSync(join(dataDir, 'mongodb.sock')));
    while (isLocked());
  })
  t.match(failure.message, /invalid BSON/)
})

t.test('a collection that is dropped while an index is built stays dropped', async (t) => {
  const { db, store } = await openTestStore(t)
  const things = db.collection('things')
  await things.insertMany(Array.from({ length: 3000 }, (_, n) => ({ n, text: 'x'.repeat(50) })))
  const building = codeOf(things.createIndex({ n: 1 }))
  while (store.catalog.find('test.things')?.indexes.length === 1) await new Promise((resolve) => setImmediate(resolve))
  await things.drop()
  t.equal(await building, 26)
  t.same(await db.listCollections().toArray(), [])
  await store.maintenance.purge()
  t.same(store.catalog.dropped(), [])

  await things.insertMany(Array.from({ length: 3000 }, (_, n) => ({ n })))
  const again = codeOf(things.createIndex({ n: 1 }))
  while (store.catalog.find('test.things')?.indexes.length === 1) await new Promise((resolve) => setImmediate(resolve))
  await things.dropIndex('n_1')
  t.equal(await again, 27)
  t.equal((await things.indexes()).length, 1)
})

t.test('cursors time out, are bounded in number, and refuse a second reader', async (t) => {
  let now = 0
  const cursors = new Cursors(() => now)
  const owner = { connection: {}, session: undefined }
  const stream = () => {
    let left = 5
    return { next: () => left-- > 0 ? bytes('x') : undefined }
  }
  const { cursorId } = await cursors.first('a.b', stream(), 2, owner)
  const [one, other] = await Promise.allSettled([cursors.more(cursorId, 'a.b', 1), cursors.more(cursorId, 'a.b', 1)])
  t.equal(one.status, 'fulfilled')
  t.match(other, { status: 'rejected', reason: { code: 12051 } })
  now += 10 * 60 * 1000 + 1
  cursors.expire()
  t.equal(cursors.size, 0)
  for (let i = 0; i < 1000; i++) await cursors.first('a.b', stream(), 1, owner)
  await t.rejects(cursors.first('a.b', stream(), 1, owner), { message: 'too many open cursors' })
  t.match(await cursors.first('a.b', stream(), 1, { ...owner, connection: {} }), { batch: { length: 1 } })
  const failing = await cursors.first(
    'a.c',
    { next: (() => { let n = 0; return () => { if (n++ > 0) throw new CommandError(50, 'late'); return bytes('x') } })() },
    1,
    { ...owner, connection: {} }
  )
  await t.rejects(cursors.more(failing.cursorId, 'a.c', 1), { code: 50 })
  await t.rejects(cursors.more(failing.cursorId, 'a.c', 1), { code: 43 })
})

t.test('a sort in memory is bounded; with a limit it keeps the best only', async (t) => {
  const sorter = new Sorter<number>(Infinity, () => 60 * 1024 * 1024)
  sorter.add(bytes('b'), 1)
  t.throws(() => sorter.add(bytes('a'), 2), { code: 292 })
  const best = new Sorter<number>(3, () => 8)
  for (let i = 0; i < 1000; i++) best.add(Buffer.from([(i * 7) % 251]), (i * 7) % 251)
  t.same(best.finish(), [0, 0, 0])
})

t.test('what is not foreseen is code 1', async (t) => {
  t.match(errorReply(toCommandError(new Error('odd'))), { ok: 0, code: 1, codeName: 'InternalError', errmsg: 'odd' })
  t.match(errorReply(toCommandError('odd')), { errmsg: 'odd' })
})

t.test('sparse, partial and text-prefix plans are used only when they are whole', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.insertMany(
    [{ _id: 1, a: 'abc', p: 5 }, { _id: 2, a: null, p: 1 }, { _id: 3, p: null }, { _id: 4, a: /ab/, p: 9 }, { _id: 5, a: ['abd'] }] as Document[]
  )
  await things.createIndex({ a: 1 }, { sparse: true })
  await things.createIndex({ p: 1 }, { partialFilterExpression: { p: { $gt: 3 }, $and: [{ p: { $exists: true } }] } })
  const run = async (filter: Document) => {
    const { executionStats, queryPlanner } = await things
      .find(filter).explain('executionStats') as Record<string, Document>
    const ids = (await things.find(filter).toArray()).map(({ _id }) => _id as unknown as number).sort((a, b) => a - b)
    return [(queryPlanner?.winningPlan as Document).stage as string, executionStats?.totalDocsExamined as number, ids]
  }
  t.same(await run({ a: 'abc' }), ['FETCH', 1, [1]])
  t.same(await run({ a: null }), ['COLLSCAN', 5, [2, 3]])
  t.same(await run({ a: { $in: ['abc', null] } }), ['COLLSCAN', 5, [1, 2, 3]])
  t.same(await run({ a: { $in: ['abc', 'x'] } }), ['FETCH', 1, [1]])
  t.same(await run({ a: /^ab/ }), ['FETCH', 3, [1, 5]])
  t.same(await run({ a: { $gt: 'abc' } }), ['FETCH', 1, [5]])
  t.same(await run({ a: { $exists: true, $gt: 'a' } }), ['FETCH', 2, [1, 5]])
  t.same(await run({ a: { $all: ['abd'] } }), ['COLLSCAN', 5, [5]])
  t.same(await run({ p: 5 }), ['FETCH', 1, [1]])
  t.same(await run({ p: 1 }), ['COLLSCAN', 5, [2]])
  t.same(await run({ p: { $gt: 3 } }), ['FETCH', 2, [1, 4]])
  t.same(await run({ p: { $gt: 4 } }), ['COLLSCAN', 5, [1, 4]])
  await things.dropIndexes()
  await things.createIndex({ a: 1 })
  t.same(await run({ a: /^abc/ }), ['FETCH', 2, [1]])
  t.same(await run({ a: { $regex: '^ab', $options: '' } }), ['FETCH', 3, [1, 5]])
  t.same(await run({ a: { $regex: /^ab/i } }), ['FETCH', 3, [1, 5]])
  t.same(await run({ a: { $all: ['abd'] } }), ['FETCH', 1, [5]])
  t.same(await run({ a: { $all: [['abd']] } }), ['COLLSCAN', 5, [5]])
  t.same(await run({ a: { $in: [['abd']] } }), ['COLLSCAN', 5, [5]])
  t.same(await run({ a: { $in: 'x'.split('').concat('abc') } }), ['FETCH', 1, [1]])
  t.same(await run({ a: { $gte: null } }), ['COLLSCAN', 5, [2, 3]])
  t.same(await run({ $or: [{ a: 'abc' }, { p: 5 }] }), ['COLLSCAN', 5, [1]])
  t.same(await run({ $or: [{ a: 'abc' }, { a: { $gt: 'abc' } }] }), ['FETCH', 2, [1, 5]])
  t.same(await run({ $and: [{ a: 'abc' }, { $nor: [{ p: 5 }] }] }), ['FETCH', 1, []])
  t.same(await run({ a: { $gt: NaN } }), ['COLLSCAN', 5, []])
  for (const [filter, code] of [[{ a: { $ne: 1 } }, 67], [{ a: { $exists: false } }, 67], [{ $or: [{ a: { $not: { $gt: 1 } } }] }, 67], [{ $expr: 1 }, 67]] as const) {
    t.equal(
      await codeOf(things.createIndex({ z: 1 }, { partialFilterExpression: filter })),
      code,
      JSON.stringify(filter)
    )
  }
  // More ranges than are worth it: the second field is left to the filter.
  await things.createIndex({ x: 1, y: 1 })
  await things.insertOne({ _id: 9, x: 50, y: 60 } as Document)
  const many = Array.from({ length: 100 }, (_, i) => i)
  t.same(await run({ x: { $in: many }, y: { $in: many } }), ['FETCH', 1, [9]])
})

t.test('updates at the edges', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection<Document>('things')
  const apply = async (document: Document, update: Document | Document[], filter: Document = {}) => {
    await things.deleteMany({})
    await things.insertOne(own(1, document))
    const after = await things.findOneAndUpdate(
      own(1, filter),
      update,
      { returnDocument: 'after', projection: { _id: 0 } }
    )
    return after as Document
  }
  t.same(await apply({ a: 5 }, { $min: { a: 3 }, $max: { b: 2 } }), { a: 3, b: 2 })
  t.same(await apply({ a: 5 }, { $min: { a: 8 }, $max: { 'c.d': 2 } }), { a: 5, c: { d: 2 } })
  t.same(
    await apply({}, { $mul: { i: 2, l: Long.fromNumber(2), d: new Double(2), m: Decimal128.fromString('2'), h: 0.5 } }),
    { d: 0, h: 0, i: 0, l: 0, m: Decimal128.fromString('0') }
  )
  t.same(await apply({}, { $bit: { a: { xor: Long.fromNumber(5) } } }), { a: 5 })
  t.same(await apply({ a: Long.fromNumber(6) }, { $bit: { a: { and: 3 } } }), { a: 2 })
  t.same(
    await apply({ a: [{ k: 2 }, 5, { k: 1 }] }, { $push: { a: { $each: [], $sort: { k: 1 } } } }),
    { a: [5, { k: 1 }, { k: 2 }] }
  )
  t.same(
    await apply(
      { a: 1 },
      { $pop: { b: 1, 'c.d': 1 }, $pull: { x: 1 }, $pullAll: { y: [1] }, $unset: { 'q.r': 1 }, $rename: { nope: 'n' } }
    ),
    { a: 1 }
  )
  t.same(await apply({ a: [1, 2] }, { $pull: { a: 9 } }), { a: [1, 2] })
  t.same(await apply({ a: [1, 2] }, { $pull: { a: 2 } }), { a: [1] })
  t.same(await apply({ a: [1, [2]] }, { $pull: { a: [2] } }), { a: [1] })
  t.same(await apply({ a: [1, 2] }, { $pull: { a: { $in: [1] } } }), { a: [2] })
  t.same(await apply({ a: [1] }, { $addToSet: { a: 1 } }), { a: [1] })
  t.same(await apply({}, { $addToSet: { a: { $each: [] } } }), { a: [] })
  t.same(
    await apply({ a: [{ b: [1, 2] }, { b: [3] }] }, { $inc: { 'a.$[].b.$[]': 1 } }),
    { a: [{ b: [2, 3] }, { b: [4] }] }
  )
  t.same(await apply({ a: [{ b: 1 }, { b: 2 }] }, { $unset: { 'a.$[].b': 1, 'a.x': 1 } }), { a: [{}, {}] })
  t.same(
    await apply({ a: [{ b: 1 }, { b: 2 }] }, { $set: { 'a.$.c': 1 } }, { $and: [{ 'a.b': 2 }] }),
    { a: [{ b: 1 }, { b: 2, c: 1 }] }
  )
  t.same(await apply({ a: [3, 4] }, { $set: { 'a.$': 0 } }, { a: { $in: [4] } }), { a: [3, 0] })
  t.same(await apply({ z: 1, a: 1 }, { $set: { 'n.10': 1, 'n.9': 1, b: 1 } }), { z: 1, a: 1, b: 1, n: { 9: 1, 10: 1 } })
  t.match(await apply({}, { $currentDate: { a: { $type: 'date' } } }), { a: Date })
  t.same(
    await apply(
      { a: 0.5, b: [new Double(2), 1], c: 1 },
      [
        { $set: { a: { $add: ['$a', 0.5] }, b: { $concatArrays: ['$b', [{ $literal: '$$NOW' }]] }, c: '$$REMOVE' } },
        { $replaceWith: '$$ROOT' }
      ]
    ),
    { a: 1, b: [2, 1, '$$NOW'] }
  )
  t.same(
    await apply({ list: [{ n: 1 }, { n: 2 }] }, [{ $set: { 'list.m': 5 } }]),
    { list: [{ n: 1, m: 5 }, { n: 2, m: 5 }] }
  )
  t.equal(await codeOf(apply({}, [{ $replaceWith: { $literal: 5 } }])), 2)
  t.equal(await codeOf(apply({}, [{ $set: { _id: 5 } }])), 66)
  t.equal(await codeOf(apply({ s: 'x' }, { $bit: { s: { or: 1 } } })), 2)
  t.equal(await codeOf(apply({ s: 'x' }, { $push: { 's.t': 1 } })), 28)
  t.equal(await codeOf(things.updateOne({ a: 1, 'a.b': 2 }, { $set: { z: 1 } }, { upsert: true })), 28)
  const seeds: Array<[Document, Document]> = [
    [{ k: { $in: [7] }, $or: [{ o: 1 }] }, { k: 7, o: 1 }], [{ k: { $all: [7] }, g: { $gt: 1 } }, { k: 7 }],
    [{ k: { $in: [1, 2] }, $nor: [{ x: 1 }] }, {}], [
      { 'd.e': 1, 'd.f': { $eq: 2 } }, { d: { e: 1, f: 2 } }
    ]
  ]
  for (const [filter, seed] of seeds) {
    t.same(
      await things.findOneAndUpdate(
        { ...filter, fresh: 1 },
        { $set: { done: 1 } },
        { upsert: true, returnDocument: 'after', projection: { _id: 0 } }
      ),
      { ...seed, fresh: 1, done: 1 }
    )
    await things.deleteMany({})
  }
  t.match(await things.replaceOne(own('own', { x: 5 }), { y: 1 }, { upsert: true }), { upsertedId: 'own' })
  t.same(await things.findOne(own('own')), { _id: 'own', y: 1 })
  t.match(await things.updateMany(own('many'), { $inc: { n: 1 } }, { upsert: true }), { upsertedId: 'many' })
  for (const [_id, code] of [[[1], 2], [/x/, 2], [{ $x: 1 }, 52]] as const) t.equal(await codeOf(things.insertOne(own(_id))), code)
  t.equal(
    await codeOf(
      db.command({ update: 'things', updates: [{ q: {}, u: { $set: { a: 1 } }, collation: { locale: 'de' } }] }).then(({ writeErrors }) => { throw (writeErrors as Error[])[0] ?? new Error() })
    ),
    115
  )
})

t.test('queries at the edges', async (t) => {
  const { db, client } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.insertMany([
    { _id: 1, a: [{ b: 1 }, { b: [2, 3] }], when: [new Date(1)], id: new ObjectId('650000000000000000000001') },
    { _id: 2, a: { b: 4 }, stamp: new Timestamp({ t: 1, i: 1 }) },
    { _id: 3, a: [[5]], n: 1e300 }
  ] as Document[])
  t.same(await things.distinct('a.b'), [1, 2, 3, 4])
  t.same(await things.distinct('a.1.b'), [2, 3])
  t.same(await things.distinct('a.0'), [5, { b: 1 }])
  t.same(await things.distinct('n.x'), [])
  t.match(
    await db.command({ explain: { find: 'nothing', filter: {}, sort: { a: 1 } }, verbosity: 'executionStats' }),
    { executionStats: { nReturned: 0 } }
  )
  t.match(
    await db.command({ explain: { delete: 'things', deletes: [{ q: {}, limit: 1 }] } }),
    { queryPlanner: { winningPlan: { stage: 'DELETE' } } }
  )
  t.match(
    await db.command(
      { find: 'things', filter: {}, hint: {}, sort: null, projection: {}, limit: 0, skip: null, batchSize: 0 }
    ),
    { cursor: { firstBatch: [] } }
  )
  t.match(
    await client.db('test').command({ find: 'things', filter: { $expr: { $eq: ['$_id', '$$id'] } }, let: { id: 2 } }),
    { cursor: { firstBatch: { length: 1 } } }
  )
  t.equal(await codeOf(db.command({ find: 'things', filter: { $expr: { $eq: ['$_id', '$$nope'] } } })), 2)
  t.same(
    (await things.aggregate([{ $sort: { _id: -1 } }, { $group: { _id: null, all: { $push: '$_id' } } }]).toArray())[0]?.all,
    [3, 2, 1]
  )
  t.same(
    await things.aggregate([{ $match: { _id: 1 } }, { $project: { _id: 0, x: { $regexMatch: { input: 'Abc', regex: /^a/i } }, when: { $arrayElemAt: ['$when', 0] } } }]).toArray(),
    [{ x: true, when: new Date(1) }]
  )
  t.same(await things.aggregate([{ $skip: 1 }, { $limit: 1 }, { $count: 'n' }]).toArray(), [{ n: 1 }])
  t.same(await things.aggregate([{ $group: { _id: '$zzz', n: { $sum: 2 } } }]).toArray(), [{ _id: null, n: 6 }])
  t.same(await things.aggregate([{ $sortByCount: '$zzz' }]).toArray(), [{ _id: null, count: 3 }])
  t.same(
    await things.aggregate([{ $lookup: { from: 'things', localField: 'a.b', foreignField: 'a.b', as: 'same' } }, { $match: { _id: { $lt: 3 } } }, { $project: { same: '$same._id' } }]).toArray(),
    [{ _id: 1, same: [1] }, { _id: 2, same: [2] }]
  )
  t.same(
    (await things.aggregate([{ $match: { _id: 2 } }, { $lookup: { from: 'things', localField: 'zzz', foreignField: 'n', as: 'x' } }]).toArray())[0]?.x as Document[],
    await things.find({ _id: { $lt: 3 } } as Document).toArray()
  )
  t.same(
    (await things.aggregate([{ $match: { _id: 3 } }, { $lookup: { from: 'things', pipeline: [{ $documents: [{ q: 1 }] }], as: 'x' } }]).toArray())[0]?.x,
    [{ q: 1 }]
  )
  t.equal(
    await codeOf(things.aggregate([{ $match: { _id: 3 } }, { $replaceRoot: { newRoot: { $literal: 5 } } }]).toArray()),
    2
  )
  t.equal(
    await codeOf(
      db.command({
        bulkWrite: 1,
        ops: [{ delete: 0, filter: {}, multi: true }],
        nsInfo: [{ ns: 'test.things' }, { ns: '' }]
      })
    ),
    73
  )
})

t.test('a client that does not read its answer cannot keep the store from closing', async (t) => {
  const directory = t.testdir()
  const store = openStore(directory)
  const server = new StoreServer(store)
  await server.start()
  const port = await server.listenOnPort(0)
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`)
  await client.db('test').collection('things').insertMany(
    Array.from({ length: 15 }, (_, i) => ({ i, blob: 'x'.repeat(1024 * 1024) }))
  )
  await client.close()
  const { connect } = await import('node:net')
  const { serialize } = await import('bson')
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.pause()
  const body = serialize({ find: 'things', $db: 'test' })
  const head = Buffer.alloc(21)
  head.writeInt32LE(head.length + body.length, 0)
  head.writeInt32LE(2013, 12)
  for (let i = 0; i < 4; i++) socket.write(Buffer.concat([head, body]))
  while ((store.opcounters.query ?? 0) === 0) await new Promise((resolve) => setImmediate(resolve))
  setTimeout(() => socket.destroy(), 100).unref()
  await server.close()
  t.equal(store.connections.size, 0)
})

t.test('more updates at the edges: positions, sessions, schedules', async (t) => {
  const { db, client } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.insertOne(own(1, { a: [{ b: [1, 2] }], n: { list: [5, 6] }, o: [1, 2, 3] }))
  const update = async (filter: Document, change: Document | Document[]) => {
    return await things.findOneAndUpdate(own(1, filter), change, { returnDocument: 'after', projection: { _id: 0 } })
  }
  t.match(await update({ $or: [{ o: 2 }, { o: 9 }] }, { $set: { 'o.$': 20 } }), { o: [1, 20, 3] })
  t.match(await update({ 'n.list': 6 }, { $set: { 'n.list.$': 60 } }), { n: { list: [5, 60] } })
  t.match(await update({}, { $set: { 'a.0.b.1': 7, 'a.1.c': 1 } }), { a: [{ b: [1, 7] }, { c: 1 }] })
  t.match(await update({}, { $unset: { 'a.5.c': 1, 'o.x.y': 1, 'n.list.9': 1 } }), { a: [{ b: [1, 7] }, { c: 1 }] })
  t.equal(await codeOf(update({}, { $set: { 'o.$': 1 } })), 2)
  t.equal(await codeOf(update({ 'n.list': { $exists: true } }, { $set: { 'a.$[].b.$[].c': 1 } })), 28)
  t.equal(await codeOf(update({}, { $unset: { 'n.$[]': 1 } })), 2)
  t.equal(await codeOf(update({}, [{ $set: { n: { $add: ['x', 1] } } }])), 2)
  t.equal(await codeOf(update({}, [])), undefined, 'an empty pipeline changes nothing')
  t.equal(await codeOf(db.command({ update: 'things', updates: [{ q: 5, u: {} }] }).then(({ writeErrors }) => {
    t.match(writeErrors, [{ code: 14 }])
  })), undefined)
  for (const refused of [{ find: 'things' }, { count: 'things' }, { aggregate: 'things', pipeline: [], cursor: {} }]) {
    t.equal(await codeOf(db.command({ ...refused, collation: { locale: 'de' } })), 115, 'a wrong order given silently would be worse')
  }
  t.match(await client.db('a').command({ endSessions: 5 }), { ok: 1 })
  t.match(await db.command({ delete: 'nothing', deletes: [{ q: {}, limit: 0 }, { q: {}, limit: 1 }] }), { n: 0 })
  t.match(await db.command({ update: 'nothing', updates: [{ q: {}, u: { $set: { a: 1 } }, c: { x: 1 } }] }), { n: 0 })
  t.match(await db.command({ findAndModify: 'nothing', query: {}, remove: true }), { value: null, lastErrorObject: { n: 0 } })
  t.match(await db.command({ listCollections: 1, filter: { name: /thin/ } }), { cursor: { firstBatch: [{ name: 'things' }] } })
  t.equal(await codeOf(db.command({ killCursors: 'things' })), undefined)
  t.equal(await codeOf(db.command({ aggregate: 'things', pipeline: [], cursor: {}, let: { a: 1 }, hint: 'nope' })), 2)
  t.match(await db.command({ insert: 'things', documents: [own(1), own(2)], ordered: 1 }), { n: 0, writeErrors: [{ index: 0 }] })
})
