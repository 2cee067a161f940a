import { ObjectId } from 'mongodb'
import t from 'tap'
import { Best } from '../../src/search/best.ts'
import { dieAt, eraseAt, openIndexes, type Said, stallAt } from './index.ts'

const openIndex = await openIndexes(t)

t.test('what was said is indexed once, in segments that are merged, and found as before', async (t) => {
  const index = await openIndex()
  const indexer = index.indexer()
  const said: Said[] = []
  for (let i = 0; i < 12; i++) {
    said.push(...await index.say(`message number${i} about apples`, i % 2 ? '' : `reply to number${i}`))
    await indexer.round()
  }
  const indexed = await index.indexed()
  t.same(indexed, new Set(said.filter(({ text }) => text !== '').map(({ id }) => id)))
  t.ok((await index.segments()).length < 6, 'small segments were merged')
  t.equal(await index.unindexed(), 0)
  t.same(await index.find('number7'), ['message number7 about apples'])
  t.equal((await index.find('apple')).length, 12)
  t.same(await (await openIndex()).find('apple'), [], 'another tenant finds nothing')

  await index.db.collection('sessions').updateMany({ tenantId: index.tenantId }, { $set: { unindexed: true }, $unset: { indexedSeq: '' } })
  await index.run(indexer)
  t.same(await index.indexed(), indexed, 'indexed again, nothing is there twice')
})

t.test('the same is found before and after it was indexed', async (t) => {
  const index = await openIndex()
  const texts = ['one apple', 'two apples and an apple pie', 'pears', 'an apple a day keeps the doctor away, they say, but who knows']
  for (const text of texts) await index.say(text)
  const expected = await index.find('apples pie')
  t.equal(expected[0], texts[1])
  t.equal(expected.length, 3)
  const indexer = index.indexer()
  await indexer.round()
  t.same(await index.find('apples pie'), expected)
  await index.say('another apple')
  t.equal((await index.find('apples pie')).length, 4, 'some of it indexed, some not')
})

t.test('a reply that is being written is indexed when it has ended', async (t) => {
  const index = await openIndex()
  const [, reply] = await index.say('tell me of apples', 'apples are')
  const _id = new ObjectId(reply!.id)
  const messages = index.db.collection('messages')
  await messages.updateOne({ _id }, { $set: { status: 'streaming' } })
  const indexer = index.indexer()
  await index.run(indexer)
  t.same(await index.find('apples'), ['tell me of apples'])
  t.equal(await index.unindexed(), 1)
  await messages.updateOne({ _id }, { $set: { status: 'stopped', content: 'apples are red' } })
  await index.run(indexer)
  t.equal((await index.find('apples')).length, 2)
  t.equal((await index.indexed()).size, 2)
  t.equal(await index.unindexed(), 0)
})

t.test('messages that are added to what was said before are indexed, also when it is just being indexed', async (t) => {
  const index = await openIndex()
  const said = await index.say('apples', 'pears', 'plums')
  const [session, later] = [new ObjectId(said[0]!.session), new ObjectId(said[1]!.id)]
  const messages = index.db.collection('messages')
  const added = (await messages.findOneAndDelete({ _id: later }))!
  const indexer = index.indexer(async (step) => {
    // Between the reading of the messages and the note of how far they are indexed.
    if (step !== 5) return
    await messages.insertOne(added)
    await index.store.transfers.reindex([session.toHexString()])
  })
  await index.run(indexer)
  t.same(await index.indexed(), new Set(said.map(({ id }) => id)))
  t.equal(await index.unindexed(), 0)
})

t.test('a long session is indexed part by part', async (t) => {
  const index = await openIndex()
  await index.say(...Array.from({ length: 1203 }, (_, i) => `message w${i}q`))
  await index.run(index.indexer())
  t.equal((await index.indexed()).size, 1203)
  t.same(await index.find('w1202q'), ['message w1202q'])
})

t.test('one process at a time is at work', async (t) => {
  const index = await openIndex()
  const [holder, other] = [index.indexer(), index.indexer()]
  await holder.round()
  const [said] = await index.say('apples')
  await other.round()
  t.equal((await index.indexed()).size, 0)
  await holder.close()
  await other.round()
  t.same(await index.indexed(), new Set([said!.id]), 'who ends lets others go on')
  await other.close()
  await index.indexer().close()
})

t.test('what is forgotten is not found any more, and then leaves the index with its words', async (t) => {
  const index = await openIndex()
  const indexer = index.indexer()
  const said = await index.say(...Array.from({ length: 10 }, (_, i) => `apples secret${i}q`))
  const other = await openIndex()
  await other.say('apples of others')
  await index.run(indexer)
  await index.forget(said[3]!, said[4]!)
  await index.forget(said[4]!)
  t.equal((await index.find('apples')).length, 8)
  await indexer.round()
  t.ok(await index.holds('secret3q'), 'for a few, the index waits whether there are more')
  index.pass(6000)
  await indexer.round()
  t.notOk(await index.holds('secret3q') || await index.holds('secret4q'))
  t.equal((await index.indexed()).size, 8)
  t.equal((await index.find('apples')).length, 8)

  await index.forget(...said.slice(5))
  await indexer.round()
  t.notOk(await index.holds('secret5q'), 'for many, it does not')
  await index.forget(...said)
  await indexer.round()
  t.same(await index.segments(), [], 'a segment that is empty is gone')
  t.same(await other.find('apples'), ['apples of others'])
  t.equal((await other.indexed()).size, 1)
})

t.test('when a process dies, another one brings the index in order', async (t) => {
  // In the midst of indexing, and of merging.
  for (const step of [7, 18]) {
    const index = await openIndex()
    const { isReached, expected } = await dieAt(index, step)
    t.ok(isReached)
    t.same(await index.indexed(), expected, `killed at step ${step}`)
    t.equal((await index.find('pears apples')).length, expected.size)
  }
})

t.test('a process that was taken for dead and goes on does no harm', async (t) => {
  // Before it shows a segment, and when it has merged some.
  for (const step of [7, 18]) {
    const index = await openIndex()
    const { isReached, expected } = await stallAt(index, step)
    t.ok(isReached)
    t.same(await index.indexed(), expected, `stalled at step ${step}`)
  }
})

t.test('a search goes on where segments are merged while they are read', async (t) => {
  const index = await openIndex()
  const indexer = index.indexer()
  const say = async () => {
    await index.say('apples')
    await indexer.round()
  }
  for (let i = 0; i < 7; i++) await say()
  // It has the list of the segments then, and asks for their tables.
  t.equal((await index.find('apples', async (n) => { if (n === 2) await say() })).length, 8)
  t.equal((await index.segments()).length, 1)
})

t.test('the best of many are kept in order', async (t) => {
  const numbers = Array.from({ length: 1000 }, (_, i) => (i * 7919) % 1000)
  const best = new Best<number>(100, (a, b) => a - b)
  for (const number of numbers) best.add(number)
  t.same(best.sorted(), Array.from({ length: 100 }, (_, i) => i))
  t.equal(best.worst, 99)
  t.equal(new Best<number>(1, (a, b) => a - b).worst, undefined)
})

t.test('what is erased while it is indexed does not stay in the index', async (t) => {
  for (const step of [5, 14]) {
    const index = await openIndex()
    const { isReached, expected, erased } = await eraseAt(index, step)
    t.ok(isReached)
    t.same(await index.indexed(), expected, `erased at step ${step}`)
    for (const letters of erased) t.notOk(await index.holds(letters), letters)
  }
})

t.test('nothing is left of segments that are gone', async (t) => {
  t.equal(await (await openIndex()).orphans(), 0)
})
