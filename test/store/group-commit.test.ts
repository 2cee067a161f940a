import { setImmediate } from 'node:timers/promises'
import { MongoClient, type Db, type Document } from 'mongodb'
import t, { type Test } from 'tap'
import { type Part, type Write, GroupCommit } from '../../src/store/group-commit.ts'
import { FoundTogether } from '../../src/store/found-together.ts'
import { isStoreAway } from '../../src/store/store.ts'
import { databaseName, storeUri } from '../helper.ts'

interface Item extends Document { _id: string, n: number }

/** A database of its own with what writes into it, and the write commands that it was sent. */
async function open (t: Test, knowsBulkWrite: boolean) {
  const client = await MongoClient.connect(await storeUri(), { monitorCommands: true })
  t.teardown(async () => await client.close())
  const db = client.db(databaseName())
  const commands: string[] = []
  client.on('commandStarted', ({ commandName }) => commands.push(commandName))
  return { client, db, commands, items: db.collection<Item>('items'), commits: new GroupCommit(db, knowsBulkWrite) }
}

/** Inserts documents, in order. */
function inserting (db: Db, documents: Item[]): Part<string> {
  const items = db.collection<Item>('items')
  return {
    writes: documents.map((document) => ({ name: 'insertOne', namespace: items.namespace, document } as unknown as Write)),
    alone: async () => {
      await items.insertMany(documents)
      return 'alone'
    },
    together: () => 'together'
  }
}

/** Adds one to a document; answers whether it is there. */
function counting (db: Db, _id: string): Part<boolean> {
  const items = db.collection<Item>('items')
  const [filter, update] = [{ _id }, { $inc: { n: 1 } }]
  return {
    writes: [{ name: 'updateOne', namespace: items.namespace, filter, update } as unknown as Write],
    alone: async () => (await items.updateOne(filter, update)).matchedCount === 1,
    together: ([matched]) => matched === 1
  }
}

const item = (_id: string): Item => ({ _id, n: 0 })
const duplicate = { status: 'rejected', reason: { code: 11000 } }

for (const knowsBulkWrite of [true, false]) {
  const grouped = knowsBulkWrite ? 'bulkWrite' : 'insert'
  const server = knowsBulkWrite ? 'a server with bulkWrite' : 'a server without bulkWrite'

  t.test(`${server}: who is alone waits for nobody, who comes together goes together`, async (t) => {
    const { db, commands, items, commits } = await open(t, knowsBulkWrite)
    t.equal(await commits.do(inserting(db, [item('first')])), 'alone')
    t.equal(await commits.do(inserting(db, [item('second')])), 'alone', 'one after the other')
    commands.length = 0
    const all = async (kind: string) => await Promise.all(Array.from({ length: 20 }, async (_, i) => (
      await commits.do(inserting(db, [item(`${kind}a${i}`), item(`${kind}b${i}`)]))
    )))
    t.same(new Set(await all('at once')), new Set(['together']))
    t.same(commands.splice(0), [grouped], 'what is handed in at one moment leaves as one')
    const flying = [commits.do(inserting(db, [item('third')]))]
    await setImmediate()
    flying.push(commits.do(inserting(db, [item('fourth')])))
    await setImmediate()
    const early = all('early')
    await setImmediate()
    const ways = [...await early, ...await all('late')]
    t.same(new Set(await Promise.all(flying)), new Set(['alone']))
    t.same(new Set(ways), new Set(['together']))
    t.ok(commands.length <= 4, 'what comes while two are on their way leaves as one')
    t.equal(await items.countDocuments(), 124, 'nothing is lost')
  })

  t.test(`${server}: each caller is told of its own writes`, async (t) => {
    const { db, commands, items, commits } = await open(t, knowsBulkWrite)
    await items.insertMany([item('taken'), item('counted')])
    commands.length = 0
    const outcomes = await Promise.allSettled([
      commits.do(counting(db, 'nobody')),
      commits.do(inserting(db, [item('x')])),
      commits.do(inserting(db, [item('y')])),
      commits.do(inserting(db, [item('before')])),
      commits.do(inserting(db, [item('begun'), item('taken'), item('never')])),
      commits.do(inserting(db, [item('behind')])),
      commits.do(inserting(db, [item('taken'), item('neither')])),
      commits.do(counting(db, 'counted')),
      commits.do(counting(db, 'missing')),
      commits.do(inserting(db, [item('last')]))
    ])
    t.match(outcomes[0], { value: false })
    t.match(outcomes[4], duplicate, 'who meets a duplicate')
    t.match(outcomes[6], duplicate, 'one behind another')
    t.same(outcomes.map(({ status }) => status === 'fulfilled'), [true, true, true, true, false, true, false, true, true, true])
    t.match(outcomes[7], { value: true })
    t.match(outcomes[8], { value: false })
    const stored = (await items.find().toArray()).map(({ _id }) => _id).sort()
    t.same(stored, ['before', 'begun', 'behind', 'counted', 'last', 'taken', 'x', 'y'], 'what comes behind a refused write of the same caller is not done')
    t.equal((await items.findOne({ _id: 'counted' }))?.n, 1, 'once')
  })

  t.test(`${server}: a command that fails fails its callers and no others`, async (t) => {
    const { client, db, commits } = await open(t, knowsBulkWrite)
    const first = ['a', 'b'].map(async (id) => await commits.do(inserting(db, [item(id)])))
    await setImmediate()
    // Nothing that can be sent.
    const impossible: Part<unknown> = {
      writes: [{ name: 'insertOne', namespace: `${db.databaseName}.items`, document: { _id: 'c', n: 'x'.repeat(17 * 1024 * 1024) } as never }],
      alone: async () => { throw new Error('too large') },
      together: () => {}
    }
    const failing = [commits.do(impossible), commits.do(inserting(db, [item('d')]))]
    const outcomes = await Promise.allSettled([...first, ...failing])
    t.same(outcomes.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected', 'rejected'])
    t.equal(await commits.do(inserting(db, [item('e')])), 'alone', 'and the next ones go')
    await client.close()
    t.match(await Promise.allSettled(['f', 'g', 'h', 'i'].map(async (id) => await commits.do(inserting(db, [item(id)])))), Array.from({ length: 4 }, () => ({ status: 'rejected' })))
  })

  t.test(`${server}: very many writes go by several commands`, async (t) => {
    const { db, commands, items, commits } = await open(t, knowsBulkWrite)
    await Promise.all(Array.from({ length: 1502 }, async (_, i) => await commits.do(inserting(db, [item(`a${i}`), item(`b${i}`)]))))
    t.equal(commands.length, 4)
    t.equal(await items.countDocuments(), 3004)
  })
}

t.test('a command that hangs does not hold up the others', async (t) => {
  const { db, commits } = await open(t, true)
  const release = Promise.withResolvers<boolean>()
  const hanging: Part<boolean> = { writes: [], alone: async () => await release.promise, together: () => true }
  const hung = [commits.do(hanging)]
  await setImmediate()
  hung.push(commits.do(hanging))
  await setImmediate()
  t.equal(await commits.do(inserting(db, [item('alone')])), 'alone', 'after a while')
  const both = await Promise.all(['c', 'd'].map(async (id) => await commits.do(inserting(db, [item(id)]))))
  t.same(both, ['together', 'together'])
  release.resolve(true)
  t.same(await Promise.all(hung), [true, true])
})

t.test('documents that are asked for at one moment are found by one command', async (t) => {
  const { client, items, commands, db } = await open(t, true)
  await items.insertMany([item('a'), item('b')])
  commands.length = 0
  const found = new FoundTogether(db.collection<Document & { _id: never }>('items'))
  const answers = await Promise.all(['a', 'b', 'a', 'c'].map(async (id) => await found.find(id as never)))
  t.match(answers, [{ _id: 'a' }, { _id: 'b' }, { _id: 'a' }, undefined])
  t.same(commands, ['find'])
  await client.close()
  await t.rejects(found.find('a' as never))
})

t.test('who is not answered is told some day, and holds up nobody', async (t) => {
  const client = await MongoClient.connect(await storeUri())
  t.teardown(async () => await client.close())
  const db = client.db(databaseName())
  const commits = new GroupCommit(db, true, 50)
  const hanging = { ...inserting(db, [item('never')]), alone: async () => await new Promise<string>(() => {}) }
  const failures: Array<Promise<unknown>> = []
  for (let i = 0; i < 3; i++) {
    failures.push(commits.do(hanging).catch((error: unknown) => error))
    // Each goes by a command of its own.
    await setImmediate()
  }
  for (const failure of await Promise.all(failures)) t.ok(isStoreAway(failure), String(failure))
  t.equal(await commits.do(inserting(db, [item('next')])), 'alone')
  t.equal(commits.underway, 0)
})
