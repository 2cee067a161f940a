import t from 'tap'
import { dieAt, eraseAt, openIndexes, stallAt } from '../search/index.ts'

const openIndex = await openIndexes(t)

t.setTimeout(300_000)

t.test('whenever a process dies, another one brings the index in order', async (t) => {
  let isReached = true
  for (let step = 1; isReached; step += 2) {
    const index = await openIndex()
    const run = await dieAt(index, step)
    t.same(await index.indexed(), run.expected, `killed at step ${step}`)
    t.equal((await index.find('pears apples')).length, run.expected.size)
    isReached = run.isReached
  }
})

t.test('whenever a process is taken for dead and goes on, it does no harm', async (t) => {
  let isReached = true
  for (let step = 2; isReached; step += 2) {
    const index = await openIndex()
    const run = await stallAt(index, step)
    t.same(await index.indexed(), run.expected, `stalled at step ${step}`)
    isReached = run.isReached
  }
})

t.test('whenever something is erased, nothing of it stays in the index', async (t) => {
  let isReached = true
  for (let step = 1; isReached; step++) {
    const index = await openIndex()
    const run = await eraseAt(index, step)
    isReached = run.isReached
    if (!isReached) break
    t.same(await index.indexed(), run.expected, `erased at step ${step}`)
    for (const letters of run.erased) t.notOk(await index.holds(letters), letters)
  }
})

t.test('nothing is left of segments that are gone', async (t) => {
  t.equal(await (await openIndex()).orphans(), 0)
})
