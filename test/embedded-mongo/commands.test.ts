import {
  Binary, Decimal128, Double, Int32, Long, MaxKey, MinKey, MongoBulkWriteError, MongoServerError, ObjectId, Timestamp,
  type AnyClientBulkWriteModel, type Document
} from 'mongodb'
import t from 'tap'
import { codeOf, openTestStore } from './helper.ts'

t.test('the driver sees a standalone MongoDB 8', async (t) => {
  const { client, db } = await openTestStore(t)
  const hello = await db.admin().command({ hello: 1 })
  t.match(
    hello,
    { isWritablePrimary: true, maxWireVersion: 25, logicalSessionTimeoutMinutes: 30, maxBsonObjectSize: 16777216 }
  )
  t.notOk('setName' in hello, 'not a replica set')
  t.equal((await db.admin().command({ isMaster: 1 })).ismaster, true)
  t.match(await db.admin().buildInfo(), { version: '8.0.0', versionArray: [8, 0, 0, 0] })
  t.match(await db.command({ ping: 1 }), { ok: 1 })
  t.equal(await codeOf(db.command({ replSetGetStatus: 1 })), 59)
  t.match((await db.admin().serverStatus()).process, 'parley-embedded-store')
  await client.withSession(async (session) => {
    t.equal(
      await codeOf(
        client.db('test').command({ insert: 'c', documents: [{}], startTransaction: true, autocommit: false, txnNumber: 1n }, { session })
      ),
      20
    )
  })
})

t.test('documents come back as they were stored, number types included', async (t) => {
  const { db } = await openTestStore(t, { promoteValues: false, promoteLongs: false })
  const things = db.collection<Document>('things')
  const document: Document = {
    _id: 1,
    int: new Int32(5),
    long: Long.fromString('9007199254740993'),
    double: new Double(5),
    decimal: Decimal128.fromString('1.50'),
    text: 'naïve 𝒳',
    none: null,
    yes: true,
    when: new Date(5),
    id: new ObjectId('650000000000000000000001'),
    bytes: new Binary(Buffer.from('abc'), 4),
    stamp: new Timestamp({ t: 1, i: 2 }),
    least: new MinKey(),
    most: new MaxKey(),
    regexp: /a+/i,
    list: [[1], { x: [] }],
    ref: { $ref: 'other', $id: 7 },
    z: 1,
    a: 2
  }
  await things.insertOne(document)
  await things.updateOne({ _id: 1 } as Document, { $set: { b: 1 } })
  const found = await things.findOne({ _id: 1 } as Document)
  t.match(
    found,
    { int: new Int32(5), long: Long.fromString('9007199254740993'), double: new Double(5), when: new Date(5) }
  )
  t.ok(found?.double instanceof Double, 'an integral double stays a double')
  t.equal(String(found?.decimal), '1.50')
  t.same(Object.keys(found ?? {}), [...Object.keys(document), 'b'], 'in the order of the fields')
  await things.updateOne({ _id: 1 } as Document, { $inc: { int: 1, long: 1, double: 1, decimal: 1 } })
  const next = await things.findOne({ _id: 1 } as Document)
  t.same(
    [next?.int, next?.long, next?.double].map((value) => (value as object).constructor.name),
    ['Int32', 'Long', 'Double']
  )
  t.equal(String(next?.long), '9007199254740994')
  t.equal(String(next?.decimal), '2.50')
})

t.test('an _id is made when the client sends none, and comes first', async (t) => {
  const { db } = await openTestStore(t)
  await db.command({ insert: 'c', documents: [{ a: 1 }, { b: 2, _id: 5 }] })
  const [first, second] = await db.collection('c').find().toArray()
  t.ok(first?._id instanceof ObjectId)
  t.same(Object.keys(second ?? {}), ['_id', 'b'])
})

t.test('duplicates are refused with code 11000, the key and MongoDB\'s message', async (t) => {
  const { db } = await openTestStore(t)
  const users = db.collection('users')
  await users.createIndex({ tenant: 1, email: 1 }, { unique: true })
  await users.insertOne({ tenant: 'a', email: 'x@y' })
  const error = await users.insertOne({ tenant: 'a', email: 'x@y' }).catch((error: unknown) => error)
  t.ok(error instanceof MongoServerError)
  t.match(error, {
    code: 11000,
    message: 'E11000 duplicate key error collection: test.users index: tenant_1_email_1 dup key: { tenant: "a", email: "x@y" }',
    keyPattern: { tenant: 1, email: 1 },
    keyValue: { tenant: 'a', email: 'x@y' }
  })
  await users.insertOne({ tenant: 'b' })
  t.equal(await codeOf(users.insertOne({ tenant: 'b', email: null })), 11000, 'missing and null are one value')
  t.equal(await codeOf(users.updateOne({ tenant: 'b' }, { $set: { tenant: 'a', email: 'x@y' } })), 11000)
  t.equal(
    await codeOf(
      users.findOneAndUpdate({ tenant: 'q' }, { $set: { email: 'x@y' }, $setOnInsert: { tenant: 'a' } }, { upsert: true })
    ),
    11000,
    'an upsert too'
  )
})

t.test('unique partial and sparse indexes leave out what they do not cover', async (t) => {
  const { db } = await openTestStore(t)
  const messages = db.collection('messages')
  await messages.createIndex(
    { session: 1, key: 1 },
    { unique: true, partialFilterExpression: { key: { $type: 'string' } } }
  )
  await messages.createIndex({ code: 1 }, { unique: true, sparse: true })
  await messages.insertMany([{ session: 1 }, { session: 1 }, { session: 1, key: 'k' }])
  t.equal(await codeOf(messages.insertOne({ session: 1, key: 'k' })), 11000)
  await messages.insertOne({ code: 1 })
  t.equal(await codeOf(messages.insertOne({ code: 1 })), 11000)
  const byKey = await messages.find({ session: 1, key: 'k' }).explain('executionStats')
  t.match(byKey.executionStats, { totalKeysExamined: 1, totalDocsExamined: 1, nReturned: 1 })
  const bySession = await messages.find({ session: 1 }).explain('executionStats')
  t.match(
    bySession.queryPlanner,
    { winningPlan: { stage: 'COLLSCAN' } },
    'the partial index lacks documents of this query'
  )
})

t.test('errors of a batch tell which write failed, ordered or not', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection<Document>('things')
  const documents = [{ _id: 1 }, { _id: 1 }, { _id: 2 }] as Document[]
  const ordered = await things.insertMany(documents).catch((error: unknown) => error)
  t.ok(ordered instanceof MongoBulkWriteError && ordered.insertedCount === 1)
  t.equal(await things.countDocuments(), 1)
  const unordered = await things.insertMany(documents, { ordered: false }).catch((error: unknown) => error)
  t.match((unordered as MongoBulkWriteError).writeErrors, [{ index: 0, code: 11000 }, { index: 1, code: 11000 }])
  t.equal(await things.countDocuments(), 2)
})

t.test('a lookup touches only what it returns, and an index serves the sort', async (t) => {
  const { db } = await openTestStore(t)
  const messages = db.collection('messages')
  await messages.createIndex({ sessionId: 1, seq: 1 }, { unique: true })
  await messages.createIndex({ tenantId: 1, at: -1, _id: -1 })
  await messages.insertMany(
    Array.from({ length: 600 }, (_, i) => ({
      _id: i as unknown as ObjectId,
      sessionId: `s${i % 20}`,
      seq: Math.floor(i / 20),
      tenantId: i % 2,
      at: new Date(i)
    }))
  )
  const cases: Array<[string, Document, Document, number, number, string[]]> = [
    ['one key', { sessionId: 's3', seq: 7 }, {}, 0, 1, ['FETCH', 'IXSCAN']],
    ['newest of a session', { sessionId: 's3' }, { seq: -1 }, 5, 5, ['LIMIT', 'FETCH', 'IXSCAN']],
    ['a range', { sessionId: 's3', seq: { $gte: 10, $lt: 15 } }, { seq: 1 }, 0, 5, ['FETCH', 'IXSCAN']],
    ['several', { sessionId: 's3', seq: { $in: [1, 5, 99] } }, {}, 0, 2, ['FETCH', 'IXSCAN']],
    ['a mixed sort', { tenantId: 1 }, { at: -1, _id: -1 }, 4, 4, ['LIMIT', 'FETCH', 'IXSCAN']],
    ['the same backwards', { tenantId: 1 }, { at: 1, _id: 1 }, 4, 4, ['LIMIT', 'FETCH', 'IXSCAN']],
    ['by _id', { _id: 17, tenantId: 1 }, {}, 0, 1, ['FETCH', 'IXSCAN']],
    ['a text prefix', { sessionId: /^s1/ }, {}, 0, 330, ['FETCH', 'IXSCAN']],
    ['what cannot be', { sessionId: 's3', seq: { $gt: 5, $lt: 2 } }, {}, 0, 0, ['FETCH', 'IXSCAN']]
  ]
  for (const [name, filter, sort, limit, keys, stages] of cases) {
    const explained = await messages.find(filter).sort(sort).limit(limit).explain('executionStats')
    t.equal((explained.executionStats as Document).totalKeysExamined, keys, `${name}: keys`)
    t.equal((explained.executionStats as Document).totalDocsExamined, keys, `${name}: documents`)
    t.same(stagesOf((explained.queryPlanner as Document).winningPlan as Document), stages, `${name}: stages`)
  }
  const blocking = await messages.find({ sessionId: 's3' }).sort({ at: 1 }).explain('executionStats')
  t.same(stagesOf((blocking.executionStats as Document).executionStages as Document), ['SORT', 'FETCH', 'IXSCAN'])
  const after: Document[] = [{ at: { $lt: new Date(100) } }, { at: new Date(100), _id: { $lt: 50 } }]
  const page = await messages.find({ tenantId: 1, $or: after }).sort({ at: -1, _id: -1 }).limit(3).explain(
    'executionStats'
  )
  t.ok((page.executionStats as Document).totalKeysExamined as number <= 4, 'a page cursor starts where the page starts')
  t.same(
    (await messages.find({ sessionId: 's3' }).sort({ seq: -1 }).limit(2).toArray()).map(({ seq }) => seq as number),
    [29, 28]
  )
})

function stagesOf (plan: Document): string[] {
  return [plan.stage as string, ...(plan.inputStage === undefined ? [] : stagesOf(plan.inputStage as Document))]
}

t.test('explain answers for every command that reads, and writes nothing', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection('things')
  await things.insertMany([{ a: 1 }, { a: 2 }])
  await things.createIndex({ a: 1 })
  const commands: Document[] = [
    { find: 'things', filter: { a: 1 } },
    { count: 'things', query: { a: 1 } },
    { distinct: 'things', key: 'a', query: { a: 1 } },
    { aggregate: 'things', pipeline: [{ $match: { a: 1 } }, { $group: { _id: '$a' } }], cursor: {} },
    { update: 'things', updates: [{ q: { a: 1 }, u: { $set: { a: 9 } }, multi: true }] },
    { delete: 'things', deletes: [{ q: { a: 1 }, limit: 0 }] },
    { findAndModify: 'things', query: { a: 1 }, update: { $set: { a: 9 } } },
    { findAndModify: 'things', query: { a: 1 }, remove: true }
  ]
  for (const explain of commands) {
    const { executionStats } = await db.command({ explain, verbosity: 'executionStats' })
    t.match(executionStats, { totalKeysExamined: 1, nReturned: 1 }, Object.keys(explain).join())
  }
  t.notOk('executionStats' in await db.command({ explain: commands[0], verbosity: 'queryPlanner' }))
  t.equal(await things.countDocuments({ a: 1 }), 1)
  t.equal(await codeOf(db.command({ explain: { nothing: 1 } })), 59)
  t.equal(await codeOf(db.command({ explain: 1 })), 14)
  t.equal(await codeOf(db.command({ explain: { aggregate: 'things', pipeline: 1 } })), 14)
  t.equal(await codeOf(db.command({ explain: { update: 'things', updates: [] } })), 2)
  t.match(
    await db.command({ aggregate: 'things', pipeline: [], explain: true }),
    { queryPlanner: { winningPlan: { stage: 'COLLSCAN' } } }
  )
})

t.test('hints are followed, unknown ones refused', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection('things')
  await things.insertMany([{ a: 2, b: 1 }, { a: 1, b: 2 }])
  await things.createIndex({ a: 1 })
  t.same((await things.find({}, { hint: 'a_1' }).toArray()).map(({ a }) => a as number), [1, 2])
  t.same((await things.find({}, { hint: { a: 1 } }).toArray()).map(({ a }) => a as number), [1, 2])
  t.same((await things.find({}, { hint: { $natural: -1 } }).toArray()).map(({ a }) => a as number), [1, 2])
  t.same((await things.find({}).sort({ $natural: -1 }).toArray()).map(({ a }) => a as number), [1, 2])
  t.equal(await codeOf(things.find({}, { hint: 'nope' }).toArray()), 2)
})

t.test('an index over arrays has an entry per element and gives a document once', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.createIndex({ tags: 1 })
  await things.createIndex({ 'items.sku': 1, 'items.n': 1 })
  await things.insertMany([
    { _id: 1, tags: ['a', 'b', 'b'], items: [{ sku: 'x', n: 1 }, { sku: 'y', n: 2 }] },
    { _id: 2, tags: 'b', items: { sku: 'y', n: 1 } },
    { _id: 3, tags: [] },
    { _id: 4 }
  ] as Document[])
  const ids = async (filter: Document) => (await things.find(filter).toArray())
    .map(({ _id }) => _id as unknown as number).sort()
  t.same(await ids({ tags: 'b' }), [1, 2])
  t.same(await ids({ tags: { $in: ['a', 'b'] } }), [1, 2])
  t.same(await ids({ tags: { $gte: 'a', $lte: 'a' } }), [1])
  t.same(await ids({ tags: { $gt: 'a', $lt: 'b' } }), [1], 'two elements may satisfy the two bounds')
  t.same(await ids({ tags: null }), [4])
  t.same(await ids({ tags: [] }), [3])
  t.same(await ids({ 'items.sku': 'x', 'items.n': 2 }), [1], 'two elements may satisfy the two conditions')
  t.same(await ids({ items: { $elemMatch: { sku: 'y', n: 1 } } }), [])
  t.same(
    (await things.find().sort({ tags: 1 }).toArray()).map(({ _id }) => _id as unknown as number),
    [3, 4, 1, 2],
    'an array sorts by its smallest element'
  )
  await things.createIndex({ p: 1, q: 1 })
  t.equal(await codeOf(things.insertOne({ p: [1], q: [2] })), 171)
})

t.test('very long values are found, kept unique and still sorted', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.createIndex({ text: 1 }, { unique: true })
  const long = 'x'.repeat(3000)
  await things.insertMany(
    [{ _id: 1, text: `${long}b` }, { _id: 2, text: `${long}a` }, { _id: 3, text: 'x' }] as Document[]
  )
  t.equal(await codeOf(things.insertOne({ text: `${long}a` })), 11000)
  t.match(await things.findOne({ text: `${long}a` }), { _id: 2 })
  t.same(
    (await things.find({ text: { $gt: long } }).sort({ text: 1 }).toArray()).map(({ _id }) => _id as unknown as number),
    [2, 1]
  )
  t.same(
    (await things.find({ text: { $lte: `${long}a` } }).sort({ text: -1 }).toArray()).map(
      ({ _id }) => _id as unknown as number
    ),
    [2, 3]
  )
})

t.test('cursors give batches, survive writes between them, and can be killed', async (t) => {
  const { db, store, client } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.insertMany(Array.from({ length: 250 }, (_, i): Document => ({ _id: i })))
  const cursor = things.find({ _id: { $gte: 0 } } as Document, { batchSize: 10 })
  t.equal((await cursor.next())?._id, 0)
  t.equal(store.cursors.size, 1)
  await things.deleteMany({ _id: { $gte: 10, $lt: 240 } } as Document)
  await things.insertOne({ _id: 1000 } as Document)
  t.same(
    (await cursor.toArray()).map(({ _id }) => _id as unknown as number),
    [...Array.from({ length: 9 }, (_, i) => i + 1), ...Array.from({ length: 10 }, (_, i) => i + 240), 1000]
  )
  t.equal(store.cursors.size, 0)
  const backwards = things.find({}, { batchSize: 5 }).sort({ _id: -1 })
  t.equal((await backwards.next())?._id, 1000)
  await things.deleteOne({ _id: 245 } as Document)
  t.same(
    (await backwards.toArray()).slice(0, 6).map(({ _id }) => _id as unknown as number),
    [249, 248, 247, 246, 244, 243]
  )

  const killed = things.find({}, { batchSize: 2 })
  await killed.next()
  await killed.close()
  t.equal(store.cursors.size, 0, 'closing a cursor kills it')
  const session = client.startSession()
  const inSession = things.find({}, { batchSize: 2, session })
  await inSession.next()
  t.equal(store.cursors.size, 1)
  const lsid = session.id
  await db.admin().command({ endSessions: [lsid] })
  t.equal(store.cursors.size, 0, 'the end of a session ends its cursors')
  await session.endSession({ force: true })
  t.equal(await codeOf(db.command({ getMore: 12345n, collection: 'things' })), 43)
  t.match(await db.command({ killCursors: 'things', cursors: [Long.fromNumber(5)] }), { cursorsNotFound: [5n] })
  const single = await db.command({ find: 'things', batchSize: 2, singleBatch: true })
  t.match((single.cursor as Document).id, 0)
  t.match(((await db.command({ find: 'things', limit: -3 })).cursor as Document).firstBatch, { length: 3 })
  const mixed = await db.command({ find: 'things', batchSize: 1 })
  t.equal(await codeOf(db.command({ getMore: (mixed.cursor as Document).id as Long, collection: 'other' })), 13)
  await things.drop()
  t.equal(await codeOf(db.command({ getMore: (mixed.cursor as Document).id as Long, collection: 'things' })), 43)
})

t.test('a batch holds at most 16 MiB, and documents beyond that are refused', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection('things')
  const blob = 'x'.repeat(6 * 1024 * 1024)
  for (let i = 0; i < 4; i++) await things.insertOne({ i, blob })
  t.same((await things.find().toArray()).map(({ i }) => i as number), [0, 1, 2, 3])
  t.equal(await codeOf(things.updateOne({ i: 0 }, { $set: { more: blob + blob } })), 10334)
  const deep = Array.from({ length: 120 }).reduce<Document>((inner) => ({ a: inner }), {})
  t.equal(await codeOf(things.insertOne(deep)), 15)
})

t.test('count, distinct, skip and limit', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection('things')
  await things.createIndex({ n: 1 })
  await things.insertMany(Array.from({ length: 30 }, (_, n) => ({ n, even: n % 2 === 0, list: [n % 3, 'x'] })))
  t.equal(await things.countDocuments(), 30)
  t.equal(await things.estimatedDocumentCount(), 30)
  t.equal(await things.countDocuments({ n: { $lt: 10 } }), 10)
  t.equal(await things.countDocuments({ even: true }), 15)
  t.equal(await things.countDocuments({ even: true }, { skip: 10, limit: 3 }), 3)
  t.equal(await things.countDocuments({ n: 77 }), 0)
  t.match(await db.command({ count: 'things', query: { n: { $gte: 10 } }, skip: 5, limit: 100 }), { n: 15 })
  t.match(await db.command({ count: 'things', query: { even: false }, limit: 4 }), { n: 4 })
  t.match(await db.command({ count: 'nothing' }), { n: 0 })
  t.same(await things.distinct('list'), [0, 1, 2, 'x'])
  t.same(await things.distinct('n', { n: { $lt: 3 } }), [0, 1, 2])
  t.same((await things.find().skip(28).toArray()).length, 2)
  t.same(
    (await things.find({ even: true }).sort({ list: 1, n: -1 }).skip(1).limit(2).toArray()).map(({ n }) => n as number),
    [18, 12]
  )
  t.equal(await codeOf(db.command({ distinct: 'things', key: 5 })), 14)
})

t.test('updates of every kind', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection<Document>('things')
  t.match(
    await things.updateOne(
      { k: 1, 'deep.x': 5, $and: [{ y: { $eq: 2 } }] },
      { $set: { b: 1 }, $setOnInsert: { c: 2 } },
      { upsert: true }
    ),
    { upsertedCount: 1, matchedCount: 0 }
  )
  t.match(await things.findOne(), { k: 1, deep: { x: 5 }, y: 2, b: 1, c: 2 })
  t.match(
    await things.updateOne({ k: 1 }, { $set: { b: 1 }, $setOnInsert: { c: 9 } }),
    { matchedCount: 1, modifiedCount: 0 }
  )
  t.match(await things.replaceOne({ k: 1 }, { k: 2, list: [1, 2, 3] }), { modifiedCount: 1 })
  t.match(
    await things.findOneAndUpdate(
      { k: 2 },
      { $inc: { n: 1 } },
      { returnDocument: 'after', projection: { n: 1, _id: 0 } }
    ),
    { n: 1 }
  )
  t.equal(await things.findOneAndUpdate({ k: 99 }, { $inc: { n: 1 } }), null)
  t.match(
    await things.findOneAndUpdate({ k: 3 }, { $set: { n: 1 } }, { upsert: true, returnDocument: 'after' }),
    { k: 3, n: 1 }
  )
  t.match(
    await things.findOneAndUpdate({ k: 4 }, { $set: { n: 1 } }, { upsert: true, includeResultMetadata: true }),
    { value: null, lastErrorObject: { n: 1, updatedExisting: false } }
  )
  t.match(await things.findOneAndReplace({ k: 4 }, { k: 5 }, { returnDocument: 'after' }), { k: 5 })
  t.match(await things.findOneAndDelete({}, { sort: { k: -1 } }), { k: 5 })
  t.equal(await things.findOneAndDelete({ k: 77 }), null)
  t.match(await things.updateMany({}, { $set: { all: true } }), { matchedCount: 2, modifiedCount: 2 })
  t.match(await things.updateMany({ k: 50 }, { $set: { all: true } }, { upsert: true }), { upsertedCount: 1 })
  t.match(await things.deleteMany({ all: true }), { deletedCount: 3 })
  const refused: Array<[unknown, Document, number]> = [
    [{ $set: { _id: 5 } }, {}, 66],
    [{ $nope: { a: 1 } }, {}, 9],
    [{ $set: 5 }, {}, 9],
    [{ $inc: { a: 'x' } }, {}, 14],
    [{ $inc: { text: 1 } }, {}, 14],
    [{ $set: { 'text.x': 1 } }, {}, 28],
    [{ $set: { a: 1 }, $inc: { 'a.b': 1 } }, {}, 40],
    [{ $set: { 'a..b': 1 } }, {}, 56],
    [{ $set: { $x: 1 } }, {}, 52],
    [{ $set: { 'list.$': 1 } }, {}, 2],
    [{ $push: { text: 1 } }, {}, 2],
    [{ $set: { 'list.$[x]': 1 } }, {}, 2],
    [{ $set: { a: 1 } }, { arrayFilters: [{ x: 1 }] }, 9],
    [{ a: 1 }, { arrayFilters: [{ x: 1 }] }, 9],
    [[{ $set: { a: 1 } }], { arrayFilters: [{ x: 1 }] }, 9],
    [{ $set: { '$.a': 1 } }, {}, 2],
    [[{ $match: {} }], {}, 72],
    [[{ $set: { a: 1 }, $unset: 'b' }], {}, 40323],
    [[{ $set: { a: { $nope: 1 } } }], {}, 2],
    [{ a: 1, $set: { b: 1 } }, {}, 52],
    [5, {}, 9]
  ]
  await things.insertOne({ _id: 1, text: 'x', list: [1] } as Document)
  for (const [update, options, code] of refused) {
    const { writeErrors } = await db.command({ update: 'things', updates: [{ q: { _id: 1 }, u: update, ...options }] })
    t.equal((writeErrors as Document[] | undefined)?.[0]?.code, code, JSON.stringify(update))
  }
  t.equal(await codeOf(db.command({ findAndModify: 'things', query: {} })), 9)
  t.equal(await codeOf(db.command({ findAndModify: 'things', query: {}, remove: true, update: {} })), 9)
  t.match(
    await db.command({ update: 'things', updates: [{ q: {}, u: { a: 1 }, multi: true }] }),
    { writeErrors: [{ code: 9 }] }
  )
  t.match(await db.command({ delete: 'things', deletes: [{ q: {}, limit: 5 }] }), { writeErrors: [{ code: 9 }] })
  t.match(await db.command({ update: 'things', updates: [{ q: {} }] }), { writeErrors: [{ code: 40414 }] })
  t.equal(await codeOf(db.command({ insert: 'things', documents: [] })), 16)
  t.equal(await codeOf(db.command({ insert: 'things' })), 40414)
  t.equal(await codeOf(db.command({ insert: 'things', documents: [5] })), 14)
  t.match(await things.findOne(), { _id: 1, text: 'x', list: [1] }, 'refused updates change nothing')
})

t.test('a pipeline update sees $$NOW once and keeps the types of what it does not touch', async (t) => {
  const { db } = await openTestStore(t, { promoteValues: false, promoteLongs: false })
  const sessions = db.collection<Document>('sessions')
  await sessions.insertOne(
    { _id: 1, nextSeq: Long.fromNumber(4), ratio: new Double(2), turn: { id: 'a', old: 1 }, list: [new Double(1)] } as Document
  )
  const before = Date.now()
  const after = await sessions.findOneAndUpdate({ _id: 1, $expr: { $lt: [{ $ifNull: ['$turn.until', new Date(0)] }, '$$NOW'] } } as Document, [
    { $set: { nextSeq: { $add: ['$nextSeq', 2] }, turn: { id: 'b', until: { $add: ['$$NOW', 1000] } }, at: '$$NOW' } },
    { $unset: 'turn.old' }
  ], { returnDocument: 'after' })
  const { turn, at, ratio, list } = after as unknown as {
    turn: { id: string, until: Date, old?: unknown },
    at: Date,
    ratio: unknown,
    list: unknown[]
  }
  t.equal(turn.until.getTime() - at.getTime(), 1000)
  t.ok(at.getTime() >= before && turn.id === 'b' && turn.old === undefined)
  t.ok(ratio instanceof Double && list[0] instanceof Double)
  t.equal(Number(after?.nextSeq), 6)
})

t.test('positional operators and array modifiers', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.insertOne(
    { _id: 1, list: [{ k: 1, v: 'a' }, { k: 2, v: 'b' }], nums: [5, 1, 4], text: ['q'] } as Document
  )
  const after = async (filter: Document, update: Document, options: Document = {}) => await things.findOneAndUpdate({ _id: 1, ...filter } as Document, update, { returnDocument: 'after', ...options }) as Document
  t.same((await after({ 'list.k': 2 }, { $set: { 'list.$.v': 'B' } })).list, [{ k: 1, v: 'a' }, { k: 2, v: 'B' }])
  t.same(
    (await after({ list: { $elemMatch: { k: 1 } } }, { $set: { 'list.$.v': 'A' } })).list,
    [{ k: 1, v: 'A' }, { k: 2, v: 'B' }]
  )
  t.same((await after({ nums: { $gt: 4 } }, { $inc: { 'nums.$': 1 } })).nums, [6, 1, 4])
  t.same((await after({ nums: 4 }, { $inc: { 'nums.$': 1 } })).nums, [6, 1, 5])
  t.same((await after({}, { $inc: { 'nums.$[]': 1 } })).nums, [7, 2, 6])
  t.same(
    (await after({}, { $set: { 'list.$[one].v': 'z' } }, { arrayFilters: [{ 'one.k': { $gte: 2 } }] })).list,
    [{ k: 1, v: 'A' }, { k: 2, v: 'z' }]
  )
  t.same((await after({}, { $push: { nums: { $each: [3, 9], $sort: -1, $slice: 4 } } })).nums, [9, 7, 6, 3])
  t.same((await after({}, { $push: { nums: { $each: [0], $position: 1, $slice: -4 } } })).nums, [0, 7, 6, 3])
  t.same(
    (await after({}, { $push: { list: { $each: [{ k: 0 }], $sort: { k: 1 } } } })).list,
    [{ k: 0 }, { k: 1, v: 'A' }, { k: 2, v: 'z' }]
  )
  t.same((await after({}, { $pull: { list: { k: { $lt: 2 } } } })).list, [{ k: 2, v: 'z' }])
  t.same((await after({}, { $pull: { text: /Q/i } })).text, [])
  t.same((await after({}, { $addToSet: { text: { $each: ['a', 'b', 'a'] } } })).text, ['a', 'b'])
  t.same((await after({}, { $pullAll: { text: ['a', 'z'] } })).text, ['b'])
  t.same((await after({}, { $pop: { nums: -1 } })).nums, [7, 6, 3])
  t.same((await after({}, { $set: { 'nums.5': 1 } })).nums, [7, 6, 3, null, null, 1])
  t.same((await after({}, { $unset: { 'nums.0': 1 } })).nums, [null, 6, 3, null, null, 1])
  t.match(
    await after(
      {},
      {
        $rename: { text: 'renamed.here' },
        $mul: { fresh: 2 },
        $bit: { bits: { or: 5, and: 4 } },
        $currentDate: { when: true, stamp: { $type: 'timestamp' } }
      }
    ),
    { renamed: { here: ['b'] }, fresh: 0, bits: 4, when: Date, stamp: Timestamp }
  )
  for (const update of [{ $rename: { 'nums.0': 'x' } }, { $rename: { list: 5 } }, { $rename: { list: 'list' } }, { $bit: { nums: { or: 1 } } }, { $bit: { a: { nor: 1 } } }, { $bit: { a: {} } }, { $bit: { a: { or: 1.5 } } }, { $currentDate: { a: 'x' } }, { $push: { nums: { $each: 1 } } }, { $push: { nums: { $each: [], $what: 1 } } }, { $push: { nums: { $each: [], $slice: 'x' } } }, { $pullAll: { nums: 1 } }, { $pull: { fresh: 1 } }, { $set: { 'nums.2000000': 1 } }, { $set: { 'nothing.$[].x': 1 } }, { $set: { 'fresh.$[]': 1 } }]) {
    const { writeErrors } = await db.command({ update: 'things', updates: [{ q: { _id: 1 }, u: update }] })
    t.equal((writeErrors as Document[] | undefined)?.[0]?.code, 2, JSON.stringify(update))
  }
  for (const [update, code] of [[{ $pop: { nums: 2 } }, 9], [{ $pop: { fresh: 1 } }, 14], [{ $addToSet: { nums: { $each: 1 } } }, 14], [{ $set: { 'nums.x': 1 } }, 28]] as const) {
    const { writeErrors } = await db.command({ update: 'things', updates: [{ q: { _id: 1 }, u: update }] })
    t.equal((writeErrors as Document[] | undefined)?.[0]?.code, code, JSON.stringify(update))
  }
  for (const [arrayFilters, code] of [[5, 14], [[5], 9], [[{ x: 1, y: 2 }], 9], [[{ x: 1 }, { x: 2 }], 9]] as const) {
    const { writeErrors } = await db.command(
      { update: 'things', updates: [{ q: { _id: 1 }, u: { $set: { 'nums.$[x]': 1 } }, arrayFilters }] }
    )
    t.equal((writeErrors as Document[] | undefined)?.[0]?.code, code, JSON.stringify(arrayFilters))
  }
})

t.test('projections', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.insertOne(
    { _id: 1, a: 1, b: { c: 2, d: 3 }, list: [{ k: 1, v: 1 }, { k: 2, v: 2 }, 5], nums: [1, 2, 3, 4] } as Document
  )
  const shaped = async (projection: Document, filter: Document = {}) => await things.findOne(filter, { projection })
  t.same(await shaped({ a: 1 }), { _id: 1, a: 1 })
  t.same(await shaped({ _id: 1 }), { _id: 1 })
  t.same(await shaped({ _id: 0, 'b.c': 1, 'list.k': 1 }), { b: { c: 2 }, list: [{ k: 1 }, { k: 2 }] })
  t.same(await shaped({ b: { d: true } }), { _id: 1, b: { d: 3 } })
  t.same(await shaped({ list: 0, nums: 0, 'b.c': 0, _id: 0 }), { a: 1, b: { d: 3 } })
  t.same(
    await shaped({ _id: 0 }),
    { a: 1, b: { c: 2, d: 3 }, list: [{ k: 1, v: 1 }, { k: 2, v: 2 }, 5], nums: [1, 2, 3, 4] }
  )
  t.same((await shaped({ nums: { $slice: -2 } }))?.nums, [3, 4])
  t.same((await shaped({ nums: { $slice: 1 } }))?.nums, [1])
  t.same((await shaped({ nums: { $slice: [1, 2] } }))?.nums, [2, 3])
  t.same(await shaped({ _id: 0, list: { $elemMatch: { k: 2 } } }), { list: [{ k: 2, v: 2 }] })
  t.same(await shaped({ _id: 0, list: { $elemMatch: { k: 9 } } }), {})
  t.same(await shaped({ _id: 0, 'nums.$': 1 }, { nums: { $gt: 2 } }), { nums: [3] })
  t.same(await shaped({ _id: 0, 'list.$': 1 }, { 'list.k': 2 }), { list: [{ k: 2, v: 2 }] })
  t.same(
    await shaped({ _id: 0, sum: { $add: ['$a', 1] }, copy: '$b.c', 'x.y': { $literal: 1 }, none: '$zzz' }),
    { sum: 2, copy: 2, x: { y: 1 } }
  )
  t.equal(await codeOf(shaped({ a: 1, b: 0 })), 31254)
  t.equal(await codeOf(shaped({ a: 0, b: 1 })), 31253)
  t.equal(await codeOf(shaped({ nums: { $slice: 'x' } })), 2)
  t.equal(await codeOf(shaped({ list: { $elemMatch: 1 } })), 2)
  t.equal(await codeOf(db.command({ find: 'things', projection: 5 })), 14)
})

t.test('aggregation: the leading stages use indexes, the others compute', async (t) => {
  const { db } = await openTestStore(t)
  const orders = db.collection<Document>('orders')
  const users = db.collection<Document>('users')
  await orders.createIndex({ user: 1 })
  await users.insertMany([{ _id: 1, name: 'Ann' }, { _id: 2, name: 'Bob' }] as Document[])
  await orders.insertMany([
    { _id: 1, user: 1, total: 5, tags: ['a', 'b'], when: new Date(0) },
    { _id: 2, user: 1, total: 7, tags: ['b'], address: { city: 'X' } },
    { _id: 3, user: 2, total: 1, ref: new ObjectId('650000000000000000000001') }
  ] as Document[])
  const run = async (pipeline: Document[]) => await orders.aggregate(pipeline).toArray()
  t.same(
    await run(
      [{ $match: { user: 1 } }, { $sort: { _id: -1 } }, { $skip: 1 }, { $limit: 1 }, { $project: { total: 1 } }]
    ),
    [{ _id: 1, total: 5 }]
  )
  t.same(await run([{ $match: { user: 1 } }, { $match: { total: 7 } }, { $project: { _id: 1 } }]), [{ _id: 2 }])
  t.same(
    await run([{ $group: { _id: '$user', total: { $sum: '$total' }, n: { $sum: 1 } } }, { $sort: { _id: 1 } }]),
    [{ _id: 1, total: 12, n: 2 }, { _id: 2, total: 1, n: 1 }]
  )
  t.same(
    await run([{ $group: { _id: '$ref', n: { $sum: 1 } } }, { $sort: { n: 1 } }]),
    [{ _id: new ObjectId('650000000000000000000001'), n: 1 }, { _id: null, n: 2 }]
  )
  t.same(
    await users.aggregate([{ $lookup: { from: 'orders', localField: '_id', foreignField: 'user', as: 'orders' } }, { $project: { name: 1, n: { $size: '$orders' } } }]).toArray(),
    [{ _id: 1, name: 'Ann', n: 2 }, { _id: 2, name: 'Bob', n: 1 }]
  )
  t.same(
    await users.aggregate([{ $lookup: { from: 'orders', let: { id: '$_id' }, pipeline: [{ $match: { $expr: { $and: [{ $eq: ['$user', '$$id'] }, { $gt: ['$total', 5] }] } } }, { $project: { total: 1, _id: 0 } }], as: 'big.ones' } }, { $sort: { _id: 1 } }]).toArray(),
    [{ _id: 1, name: 'Ann', big: { ones: [{ total: 7 }] } }, { _id: 2, name: 'Bob', big: { ones: [] } }]
  )
  t.same(await run([{ $unwind: '$tags' }, { $count: 'n' }]), [{ n: 3 }])
  t.same(await run([{ $match: { user: 9 } }, { $count: 'n' }]), [])
  t.same(await run([{ $match: { user: 9 } }, { $set: { a: 1 } }, { $count: 'n' }]), [])
  t.same(
    await run([{ $facet: { a: [{ $count: 'n' }], b: [{ $match: { user: 2 } }, { $project: { total: 1 } }] } }]),
    [{ a: [{ n: 3 }], b: [{ _id: 3, total: 1 }] }]
  )
  t.same(
    await run([{ $project: { _id: 1 } }, { $unionWith: 'users' }, { $limit: 4 }]),
    [{ _id: 1 }, { _id: 2 }, { _id: 3 }, { _id: 1, name: 'Ann' }]
  )
  t.same(
    await run(
      [
        { $limit: 1 }, { $unset: ['tags', 'when', 'user'] },
        { $unionWith: { coll: 'users', pipeline: [{ $match: { _id: 2 } }] } }
      ]
    ),
    [{ _id: 1, total: 5 }, { _id: 2, name: 'Bob' }]
  )
  t.same(
    await run(
      [
        { $match: { _id: 2 } }, { $addFields: { address: { zip: 9 }, 'new.x': 1, gone: '$nope' } },
        { $replaceWith: { address: '$address', new: '$new', gone: '$gone' } }
      ]
    ),
    [{ address: { city: 'X', zip: 9 }, new: { x: 1 } }]
  )
  t.same(
    (await run([{ $addFields: { k: '$total' } }, { $sort: { k: 1 } }])).map(({ _id }) => _id as unknown as number),
    [3, 1, 2]
  )
  t.same(
    await run(
      [
        { $match: { _id: 1 } },
        { $project: { _id: 0, eq: { $eq: ['$none', null] }, lt: { $lt: ['$none', null] }, in: { $in: [new Date(0), ['$when']] }, cmp: { $cmp: ['$total', 9] }, ne: { $ne: ['$total', 5] }, gte: { $gte: ['$total', 5] }, lte: { $lte: ['$total', 5] }, type: { $type: '$when' } } }
      ]
    ),
    [{ eq: false, lt: true, in: true, cmp: -1, ne: false, gte: true, lte: true, type: 'date' }]
  )
  t.same(await db.aggregate([{ $documents: [{ a: 1 }, { a: 2 }] }, { $match: { a: 2 } }]).toArray(), [{ a: 2 }])
  t.same(
    await run(
      [

        { $graphLookup: { from: 'users', startWith: '$user', connectFromField: '_id', connectToField: '_id', as: 'who' } },
        { $limit: 1 }, { $project: { _id: 0, 'who.name': 1 } }
      ]
    ),
    [{ who: [{ name: 'Ann' }] }]
  )
  const refused: Array<[unknown[], number]> = [
    [[{ $nope: 1 }], 40324], [[{ $match: 1 }], 15959], [[{}], 40323], [[{ $limit: 0 }], 15958],
    [[{ $limit: -1 }], 2], [[{ $out: 'x' }], 115],
    [[{ $project: {} }], 51272], [[{ $set: 5 }], 40272], [[{ $lookup: { from: 'x' } }], 9],
    [[{ $lookup: { from: 'x', as: 'y', localField: 'z' } }], 9],
    [[{ $unionWith: {} }], 9], [[{ $group: { n: 1 } }], 2], [[{ $project: { a: { $bogus: 1 } } }], 168],
    [[{ $addFields: { a: { $in: [1, 2] } } }], 2], [
      [{ $addFields: { a: { $eq: [1] } } }], 2
    ]
  ]
  for (const [pipeline, code] of refused) {
    t.equal(await codeOf(orders.aggregate(pipeline as Document[]).toArray()), code, JSON.stringify(pipeline))
  }
  t.equal(await codeOf(db.aggregate([{ $match: {} }]).toArray()), 73)
  t.equal(await codeOf(db.command({ aggregate: 'orders', pipeline: [] })), 9)
  t.equal(await codeOf(db.command({ aggregate: 'orders', pipeline: 5, cursor: {} })), 14)
})

t.test('indexes are listed, compared, dropped; clashes carry MongoDB\'s codes', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection('things')
  t.equal(await codeOf(things.indexes()), 26)
  t.match(
    await db.command({ createIndexes: 'things', indexes: [{ key: { a: 1 }, name: 'a_1' }] }),
    { numIndexesBefore: 1, numIndexesAfter: 2, createdCollectionAutomatically: true }
  )
  t.match(
    await db.command({ createIndexes: 'things', indexes: [{ key: { a: 1 }, name: 'a_1' }] }),
    { note: 'all indexes already exist' }
  )
  t.equal(await codeOf(things.createIndex({ a: 1 }, { name: 'other' })), 85)
  t.equal(await codeOf(things.createIndex({ b: 1 }, { name: 'a_1' })), 86)
  t.equal(await codeOf(things.createIndex({ a: 1 }, { unique: true })), 86)
  t.equal(await codeOf(things.createIndex({ a: 1 }, { expireAfterSeconds: 5 })), 85)
  await things.createIndex({ _id: 1 })
  await things.insertMany([{ c: 1 }, { c: 1 }])
  t.equal(await codeOf(things.createIndex({ c: 1 }, { unique: true })), 11000)
  t.same((await things.indexes()).map(({ name }) => name), ['_id_', 'a_1'])
  const bad: Array<[Document, number]> = [
    [{ key: {}, name: 'x' }, 67], [{ key: { a: 'text' }, name: 'x' }, 67], [{ key: { a: 0 }, name: 'x' }, 67],
    [{ key: { 'a.': 1 }, name: 'x' }, 67], [{ key: { $a: 1 }, name: 'x' }, 67],
    [{ key: { a: 1 } }, 9], [{ name: 'x' }, 9], [{ key: { z: 1 }, name: 'x', wat: 1 }, 197],
    [{ key: { z: 1 }, name: 'x', expireAfterSeconds: -1 }, 67],
    [{ key: { z: 1 }, name: 'x', partialFilterExpression: 5 }, 14],
    [{ key: { z: 1 }, name: 'x', sparse: true, partialFilterExpression: {} }, 67],
    [{ key: { z: 1 }, name: 'x', partialFilterExpression: { a: { $nope: 1 } } }, 2], [
      { key: { z: 1 }, name: 'x', collation: { locale: 'de' } }, 115
    ]
  ]
  for (const [spec, code] of bad) {
    t.equal(await codeOf(db.command({ createIndexes: 'things', indexes: [spec] })), code, JSON.stringify(spec))
  }
  t.equal(await codeOf(db.command({ createIndexes: 'things', indexes: [] })), 2)
  t.equal(
    await codeOf(db.command({ createIndexes: 'things', indexes: [{ key: { y: 1 }, name: 'y' }], commitQuorum: 1 })),
    2
  )
  t.equal(await codeOf(things.dropIndex('nope')), 27)
  t.equal(await codeOf(things.dropIndex('_id_')), 72)
  t.equal(await codeOf(db.collection('nothing').dropIndex('a')), 26)
  t.match(await db.command({ dropIndexes: 'things', index: { a: 1 } }), { nIndexesWas: 2 })
  await things.createIndex({ d: 1 })
  await things.dropIndexes()
  t.same((await things.indexes()).length, 1)
  for (let i = 0; i < 63; i++) await things.createIndex({ [`f${i}`]: 1 })
  t.equal(await codeOf(things.createIndex({ more: 1 })), 67)
})

t.test('collections and databases are listed, created and dropped', async (t) => {
  const { client, db } = await openTestStore(t)
  await db.createCollection('made')
  t.equal(await codeOf(db.createCollection('made')), 48)
  t.equal(await codeOf(db.createCollection('capped', { capped: true, size: 5 })), 115)
  t.equal(await codeOf(db.createCollection('sorted', { collation: { locale: 'de' } })), 115)
  t.equal(await codeOf(db.command({ create: 'a$b' })), 73)
  t.equal(await codeOf(db.command({ create: 'x'.repeat(300) })), 73)
  t.equal(await codeOf(db.command({ create: 5 })), 73)
  await client.db('other').collection('x').insertOne({})
  t.same((await db.listCollections().toArray()).map(({ name }) => name), ['made'])
  t.same(await db.listCollections({ name: 'nope' }, { nameOnly: true }).toArray(), [])
  t.same((await db.admin().listDatabases()).databases.map(({ name }) => name), ['other', 'test'])
  t.same(
    await db.admin().listDatabases({ nameOnly: true, filter: { name: 'test' } }).then(({ databases }) => databases),
    [{ name: 'test' }]
  )
  t.match(await db.stats(), { db: 'test', collections: 1, objects: 0, indexes: 1 })
  t.match(await client.db('other').command({ collStats: 'x' }), { count: 1, nindexes: 1 })
  t.match(await db.command({ collStats: 'nope' }), { count: 0 })
  t.equal(await codeOf(db.command({ drop: 'nope' })), 26)
  t.equal(await db.dropCollection('made'), true)
  t.equal(await client.db('other').dropDatabase(), true)
  t.match(await db.command({ dropDatabase: 1 }), { ok: 1 })
  t.same((await db.admin().listDatabases()).databases, [])
})

t.test('the client-level bulkWrite of MongoDB 8', async (t) => {
  const { client } = await openTestStore(t)
  const models: Array<AnyClientBulkWriteModel<Document>> = [
    { name: 'insertOne', namespace: 'one.a', document: { _id: 1 } as Document },
    { name: 'updateOne', namespace: 'two.b', filter: { k: 1 }, update: { $set: { v: 1 } }, upsert: true },
    { name: 'updateMany', namespace: 'two.b', filter: {}, update: [{ $set: { w: 2 } }] },
    { name: 'replaceOne', namespace: 'one.a', filter: { _id: 1 } as Document, replacement: { r: 1 } },
    { name: 'deleteOne', namespace: 'one.a', filter: { r: 1 } },
    { name: 'deleteMany', namespace: 'one.a', filter: {} }
  ]
  const result = await client.bulkWrite(models, { verboseResults: true })
  t.match(result, { insertedCount: 1, upsertedCount: 1, matchedCount: 2, modifiedCount: 2, deletedCount: 1 })
  t.equal(result.updateResults?.get(1)?.didUpsert, true)
  const operations = [1, 1, 2].map(
    (_id): AnyClientBulkWriteModel<Document> => ({
      name: 'insertOne',
      namespace: 'one.c',
      document: { _id } as Document
    })
  )
  const ordered = await client.bulkWrite(operations).catch((error: unknown) => error) as {
    writeErrors: Map<number,
    { code: number }>
  }
  t.equal(ordered.writeErrors.get(1)?.code, 11000)
  const unordered = await client.bulkWrite(operations, { ordered: false }).catch((error: unknown) => error) as {
    writeErrors: Map<number,
    unknown>
  }
  t.same([...unordered.writeErrors.keys()], [0, 1])
  const admin = client.db('admin')
  const one = { ops: [{ insert: 0, document: {} }], nsInfo: [{ ns: 'one.d' }] }
  t.match(
    await admin.command({ bulkWrite: 1, ...one, errorsOnly: true }),
    { nErrors: 0, nInserted: 1, cursor: { firstBatch: [] } }
  )
  t.equal(await codeOf(admin.command({ bulkWrite: 1, ...one, nsInfo: [{ ns: 'nodot' }] })), 73)
  t.equal(await codeOf(admin.command({ bulkWrite: 1, ...one, ops: [] })), 16)
  t.match(
    await admin.command(
      {
        bulkWrite: 1,
        ops: [{ insert: 5, document: {} }, { what: 0 }, { insert: 0, document: 5 }],
        nsInfo: one.nsInfo,
        ordered: false,
        cursor: { batchSize: 5 }
      }
    ),
    { nErrors: 3, cursor: { firstBatch: [{ code: 2 }, { code: 9 }, { code: 14 }] } }
  )
})

t.test('documents expire, only those whose time has come', async (t) => {
  const { db, store } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.createIndex({ at: 1 }, { expireAfterSeconds: 60 })
  await things.createIndex({ until: 1 }, { expireAfterSeconds: 0, partialFilterExpression: { temp: true } })
  const ago = (seconds: number) => new Date(Date.now() - seconds * 1000)
  await things.insertMany([
    { _id: 1, at: ago(120) }, { _id: 2, at: ago(10) }, { _id: 3, at: 'text' }, { _id: 4, at: [ago(500), ago(1)] },
    { _id: 5, until: ago(1), temp: true }, { _id: 6, until: ago(1) }, { _id: 7, at: null }
  ] as Document[])
  await store.maintenance.sweep()
  t.same((await things.find().toArray()).map(({ _id }) => _id as unknown as number), [2, 3, 6, 7])
})

t.test('bad filters are refused with MongoDB\'s codes', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection('things')
  await things.insertOne({ a: 1 })
  const bad: Array<[unknown, number]> = [
    [{ a: { $nope: 1 } }, 2], [{ $nope: [] }, 2], [{ $or: [] }, 2], [{ $and: 5 }, 2], [{ $and: [5] }, 2],
    [{ a: { $in: 5 } }, 2], [{ a: { $in: [{ $gt: 1 }] } }, 2],
    [{ a: { $size: -1 } }, 2], [{ a: { $mod: [1] } }, 2], [{ a: { $mod: [0, 1] } }, 2], [{ a: { $regex: 5 } }, 2],
    [{ a: { $regex: '(' } }, 51091], [{ a: { $regex: 'a', $options: 'q' } }, 51108],
    [{ a: { $regex: 'a', $options: 5 } }, 2], [{ a: { $options: 'i' } }, 2], [{ a: { $elemMatch: 5 } }, 2],
    [{ a: { $all: 5 } }, 2], [{ a: { $type: 'what' } }, 2], [{ a: { $type: 99 } }, 2],
    [{ a: { $not: 5 } }, 2], [{ a: { $gt: /x/ } }, 2], [{ a: { $bitsAllSet: 'x' } }, 2],
    [{ a: { $bitsAllSet: [-1] } }, 2], [{ $expr: { $nope: 1 } }, 168], [5, 14], [
      { a: { $regex: 'x'.repeat(40000) } }, 51091
    ]
  ]
  for (const [filter, code] of bad) {
    t.equal(await codeOf(db.command({ find: 'things', filter })), code, JSON.stringify(filter)?.slice(0, 80))
  }
  for (const [command, code] of [[{ sort: { a: 2 } }, 2], [{ sort: 5 }, 14], [{ skip: -1 }, 2], [{ limit: 'x' }, 14], [{ tailable: true }, 2]] as const) {
    t.equal(await codeOf(db.command({ find: 'things', ...command })), code, JSON.stringify(command))
  }
})

t.test('a time limit ends a long read', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection('things')
  await things.insertMany(Array.from({ length: 3000 }, (_, n) => ({ n })))
  // 3000 documents, each with a $expr that counts to 200: longer than a millisecond anywhere.
  const slow = { $expr: { $gt: [{ $size: { $range: [0, 200] } }, 500] } }
  t.equal(await codeOf(things.find(slow, { maxTimeMS: 1 }).toArray()), 50)
  t.same(await things.find({ n: 5 }, { maxTimeMS: 10_000, projection: { _id: 0 } }).toArray(), [{ n: 5 }])
})

t.test('many writers at once: each update is atomic and none is lost', async (t) => {
  const { db } = await openTestStore(t)
  const counters = db.collection<Document>('counters')
  await counters.insertOne({ _id: 1, n: 0 } as Document)
  const seen = await Promise.all(
    Array.from({ length: 200 }, async () => (await counters.findOneAndUpdate({ _id: 1 } as Document, { $inc: { n: 1 } }, { returnDocument: 'after' }))?.n as number)
  )
  t.same(seen.sort((a, b) => a - b), Array.from({ length: 200 }, (_, i) => i + 1))
  await counters.createIndex({ k: 1 }, { unique: true, sparse: true })
  const inserts = await Promise.allSettled(Array.from({ length: 50 }, async () => counters.insertOne({ k: 'same' })))
  t.equal(inserts.filter(({ status }) => status === 'fulfilled').length, 1)
})

t.test('an index is built while others write, and is whole afterwards', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection<Document>('things')
  await things.insertMany(Array.from({ length: 3000 }, (_, n): Document => ({ _id: n, n })))
  const building = things.createIndex({ n: 1 })
  const again = things.createIndex({ n: 1 })
  await Promise.all([
    ...Array.from(
      { length: 40 },
      async (_, i) => things.updateOne({ _id: i * 70 } as Document, { $set: { n: 10_000 + i } })
    ),
    ...Array.from({ length: 40 }, async (_, i) => things.deleteOne({ _id: i * 70 + 1 } as Document)),
    ...Array.from({ length: 40 }, async (_, i) => things.insertOne({ _id: 5000 + i, n: 20_000 + i } as Document))
  ])
  await Promise.all([building, again])
  const all = await things.find().hint({ $natural: 1 }).toArray()
  const indexed = await things.find({ n: { $gte: 0 } }).hint('n_1').toArray()
  t.equal(all.length, 3000)
  t.same(
    indexed.map(({ _id }) => _id as unknown as number).sort((a, b) => a - b),
    all.map(({ _id }) => _id as unknown as number).sort((a, b) => a - b)
  )
})
