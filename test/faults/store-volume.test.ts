import { MongoClient, type Document } from 'mongodb'
import t from 'tap'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'

const MESSAGES = 1_000_000
const PER_SESSION = 100
const BATCH = 10_000

t.setTimeout(400_000)

t.test('a million messages: a lookup touches only what it returns, others are served meanwhile', async (t) => {
  const store = await startEmbeddedStore({ dataDir: t.testdir() })
  const client = new MongoClient(store.uri)
  t.teardown(async () => {
    await client.close()
    await store.close()
  })
  const messages = client.db('test').collection<Document>('messages')
  await messages.createIndex({ sessionId: 1, seq: 1 }, { unique: true })
  for (let from = 0; from < MESSAGES; from += BATCH) {
    await messages.insertMany(Array.from({ length: BATCH }, (_, i) => ({
      sessionId: `s${Math.floor((from + i) / PER_SESSION)}`, seq: (from + i) % PER_SESSION, tenantId: (from + i) % 7, content: 'some words of a message'
    })))
  }
  t.equal(await messages.estimatedDocumentCount(), MESSAGES)

  const statistics = async (filter: Document, sort: Record<string, 1 | -1>, limit: number) => {
    const explained = await messages.find(filter)
      .sort(sort).limit(limit).explain('executionStats') as { executionStats: Document }
    return explained.executionStats
  }
  t.match(
    await statistics({ sessionId: 's5000', seq: 50 }, {}, 0),
    { totalKeysExamined: 1, totalDocsExamined: 1, nReturned: 1 }
  )
  t.match(
    await statistics({ sessionId: 's5000' }, { seq: -1 }, 20),
    { totalKeysExamined: 20, totalDocsExamined: 20, nReturned: 20 }
  )
  t.match(
    await statistics({ sessionId: 's5000', seq: { $gt: 90 } }, { seq: 1 }, 0),
    { totalKeysExamined: 9, totalDocsExamined: 9, nReturned: 9 }
  )
  t.match(await statistics({}, { _id: -1 }, 3), { totalKeysExamined: 3, totalDocsExamined: 3, nReturned: 3 })

  // A scan of everything and an index build go on while single lookups and writes are answered.
  const load = { isBusy: true }
  const busy = Promise.all([
    messages.countDocuments({ content: 'nothing like this' }),
    messages.createIndex({ tenantId: 1, sessionId: 1 })
  ]).finally(() => { load.isBusy = false })
  let served = 0
  while (load.isBusy) {
    t.equal((await messages.find({ sessionId: `s${served % 10_000}` }).limit(5).toArray()).length === 5, true)
    await messages.updateOne({ sessionId: `s${served % 10_000}`, seq: 0 }, { $inc: { reads: 1 } })
    served++
  }
  t.equal((await busy)[0], 0)
  t.ok(served > 20, `${served} lookups and writes were served during a scan and an index build`)
  t.match(await statistics({ tenantId: 3, sessionId: 's5000' }, {}, 0), { totalKeysExamined: 14, nReturned: 14 })

  const cursor = messages.find({}, { batchSize: 5000 })
  let seen = 0
  for await (const message of cursor) {
    if (message.seq === 0) seen++
  }
  t.equal(seen, MESSAGES / PER_SESSION, 'a cursor over everything gives each document once')
  t.match(await messages.deleteMany({ tenantId: 3 }), { deletedCount: Math.floor(MESSAGES / 7) })
  t.equal(await messages.countDocuments({ tenantId: 3 }), 0)
})
