import t from 'tap'
import { Chatbots } from '../src/chatbots/chatbots.ts'
import { mergePatch } from '../src/chatbots/merge-patch.ts'
import { startBus } from './buses.ts'
import { startApp } from './helper.ts'

t.test('a merge patch changes what it names and nothing else', async (t) => {
  const cases: Array<[Record<string, unknown>, Record<string, unknown>, Record<string, unknown>]> = [
    [{ a: 1 }, {}, { a: 1 }],
    [{ a: 1 }, { a: 2, b: 3 }, { a: 2, b: 3 }],
    [{ a: 1, b: 2 }, { a: null, c: null }, { b: 2 }],
    [{ a: [1, { b: 2 }] }, { a: [{ b: null }] }, { a: [{ b: null }] }],
    [{ a: { b: 1, c: 2 } }, { a: { b: null, d: { e: 3 } } }, { a: { c: 2, d: { e: 3 } } }],
    [{ a: 'text' }, { a: { b: null, c: 1 } }, { a: { c: 1 } }],
    [{ a: { b: 1 } }, { a: 'text' }, { a: 'text' }]
  ]
  for (const [target, patch, merged] of cases) {
    const before = structuredClone(target)
    t.strictSame(mergePatch(target, patch), merged, JSON.stringify(patch))
    t.same(target, before, 'the target itself is left alone')
  }
})

t.test('a chatbot is kept in memory for a moment, and never handed to another tenant', async (t) => {
  const { app, client } = await startApp(t)
  const id = await client.createConfig({ name: 'First' })
  const elsewhere = new Chatbots(app.store.chatbots, startBus(t))
  t.equal(elsewhere.recent('default', id), undefined)
  t.match(await elsewhere.find('default', id), { name: 'First' })
  await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { name: 'Second' } })
  t.match(elsewhere.recent('default', id), { name: 'First' }, 'a change made elsewhere may go unnoticed')
  t.match(app.chatbots.recent('default', id), { name: 'Second' }, 'a change made here may not')
  t.equal(elsewhere.recent('other', id), undefined)
  t.equal(await elsewhere.find('other', id), undefined)
  const original = performance.now.bind(performance)
  t.intercept(performance, 'now', { value: () => original() + 3001 })
  t.equal(elsewhere.recent('default', id), undefined, 'but not for long')
  t.match(await elsewhere.find('default', id), { name: 'Second' })
  await client.ask(`/api/configs/${id}`, { method: 'DELETE' })
  t.equal(app.chatbots.recent('default', id), undefined)
})
