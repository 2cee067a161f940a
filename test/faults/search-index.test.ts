import t from 'tap'
import { dieAt, eraseAt, TestIndex } from '../search/index.ts'

t.setTimeout(300_000)

t.test('whenever a process dies, another one brings the index in order', async (t) => {
  let isReached = true
  for (let step = 1; isReached; step++) {
    const index = await TestIndex.open(t)
    const run = await dieAt(index, step)
    t.same(await index.indexed(), run.expected, `killed at step ${step}`)
    t.equal((await index.find('first', 'pears apples')).length, run.expected.size)
    isReached = run.isReached
  }
})

t.test('whenever something is erased, nothing of it stays in the index', async (t) => {
  let isReached = true
  for (let step = 1; isReached; step++) {
    const index = await TestIndex.open(t)
    const run = await eraseAt(index, step)
    isReached = run.isReached
    if (!isReached) break
    t.same(await index.indexed(), run.expected, `erased at step ${step}`)
    for (const letters of run.erased) t.notOk(await index.holds(letters), letters)
  }
})
