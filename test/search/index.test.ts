import { ObjectId } from 'mongodb'
import t from 'tap'
import { dieAt, eraseAt, type Said, TestIndex } from './index.ts'

t.test('what was said is indexed once, in segments that are merged, and found as before', async (t) => {
  const index = await TestIndex.open(t)
  const indexer = index.indexer()
  const said: Said[] = []
  for (let i = 0; i < 12; i++) {
    said.push(...await index.say('first', `message number${i} about apples`, i % 2 ? '' : `reply to number${i}`))
    await indexer.round()
  }
  const indexed = await index.indexed()
  t.same(indexed, new Set(said.filter(({ text }) => text !== '').map(({ id }) => id)))
  t.ok(await index.db.collection('searchSegments').countDocuments() < 6, 'small segments were merged')
  t.equal(await index.db.collection('sessions').countDocuments({ unindexed: true }), 0)
  t.same(await index.find('first', 'number7'), ['message number7 about apples'])
  t.equal((await index.find('first', 'apple')).length, 12)
  t.same(await index.find('second', 'apple'), [], 'another tenant finds nothing')

  await index.db.collection('sessions').updateMany({}, { $set: { unindexed: true }, $unset: { indexedSeq: '' } })
  await index.run(indexer)
  t.same(await index.indexed(), indexed, 'indexed again, nothing is there twice')
})

t.test('the same is found before and after it was indexed', async (t) => {
  const index = await TestIndex.open(t)
  const texts = ['one apple', 'two apples and an apple pie', 'pears', 'an apple a day keeps the doctor away, they say, but who knows']
  for (const text of texts) await index.say('first', text)
  const expected = await index.find('first', 'apples pie')
  t.equal(expected[0], texts[1])
  t.equal(expected.length, 3)
  const indexer = index.indexer()
  await indexer.round()
  t.same(await index.find('first', 'apples pie'), expected)
  await index.say('first', 'another apple')
  t.equal((await index.find('first', 'apples pie')).length, 4, 'some of it indexed, some not')
})

t.test('a reply that is being written is indexed when it has ended', async (t) => {
  const index = await TestIndex.open(t)
  const [, reply] = await index.say('first', 'tell me of apples', 'apples are')
  const _id = new ObjectId(reply!.id)
  const messages = index.db.collection('messages')
  await messages.updateOne({ _id }, { $set: { status: 'streaming' } })
  const indexer = index.indexer()
  await index.run(indexer)
  t.same(await index.find('first', 'apples'), ['tell me of apples'])
  t.equal(await index.db.collection('sessions').countDocuments({ unindexed: true }), 1)
  await messages.updateOne({ _id }, { $set: { status: 'stopped', content: 'apples are red' } })
  await index.run(indexer)
  t.equal((await index.find('first', 'apples')).length, 2)
  t.equal((await index.indexed()).size, 2)
  t.equal(await index.db.collection('sessions').countDocuments({ unindexed: true }), 0)
})

t.test('messages that are added to what was said before are indexed, also when it is just being indexed', async (t) => {
  const index = await TestIndex.open(t)
  const said = await index.say('first', 'apples', 'pears', 'plums')
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
  t.equal(await index.db.collection('sessions').countDocuments({ unindexed: true }), 0)
})

t.test('a long session is indexed part by part', async (t) => {
  const index = await TestIndex.open(t)
  await index.say('first', ...Array.from({ length: 1203 }, (_, i) => `message w${i}q`))
  await index.run(index.indexer())
  t.equal((await index.indexed()).size, 1203)
  t.same(await index.find('first', 'w1202q'), ['message w1202q'])
})

t.test('one process at a time is at work', async (t) => {
  const index = await TestIndex.open(t)
  const [holder, other] = [index.indexer(), index.indexer()]
  await holder.round()
  const [said] = await index.say('first', 'apples')
  await other.round()
  t.equal((await index.indexed()).size, 0)
  await holder.close()
  await other.round()
  t.same(await index.indexed(), new Set([said!.id]), 'who ends lets others go on')
  await other.close()
  await index.indexer().close()
})

t.test('what is forgotten is not found any more, and then leaves the index with its words', async (t) => {
  const index = await TestIndex.open(t)
  const indexer = index.indexer()
  const said = await index.say('first', ...Array.from({ length: 10 }, (_, i) => `apples secret${i}q`))
  await index.say('second', 'apples of others')
  await index.run(indexer)
  await index.forget('first', said[3]!, said[4]!)
  await index.forget('first', said[4]!)
  t.equal((await index.find('first', 'apples')).length, 8)
  await indexer.round()
  t.ok(await index.holds('secret3q'), 'for a few, the index waits whether there are more')
  index.pass(6000)
  await indexer.round()
  t.notOk(await index.holds('secret3q') || await index.holds('secret4q'))
  t.equal((await index.indexed()).size, 9)
  t.equal((await index.find('first', 'apples')).length, 8)

  await index.forget('first', ...said.slice(5))
  await indexer.round()
  t.notOk(await index.holds('secret5q'), 'for many, it does not')
  await index.forget('first', ...said)
  await indexer.round()
  t.equal((await index.indexed()).size, 1, 'a segment that is empty is gone')
  t.equal(await index.db.collection('searchSegments').countDocuments(), 1)
  t.same(await index.find('second', 'apples'), ['apples of others'])
})

t.test('when a process dies, another one brings the index in order', async (t) => {
  // In the midst of indexing, of merging, and of removing what was merged.
  for (const step of [7, 18, 26]) {
    const index = await TestIndex.open(t)
    const { isReached, expected } = await dieAt(index, step)
    t.ok(isReached)
    t.same(await index.indexed(), expected, `killed at step ${step}`)
    t.equal((await index.find('first', 'pears apples')).length, expected.size)
  }
})

t.test('what is erased while it is indexed does not stay in the index', async (t) => {
  for (const step of [5, 8, 14]) {
    const index = await TestIndex.open(t)
    const { isReached, expected, erased } = await eraseAt(index, step)
    t.ok(isReached)
    t.same(await index.indexed(), expected, `erased at step ${step}`)
    for (const letters of erased) t.notOk(await index.holds(letters), letters)
  }
})
