import t from 'tap'
import { Chatbots } from '../src/chatbots/chatbots.ts'
import { mergePatch } from '../src/chatbots/merge-patch.ts'
import { startBus } from './buses.ts'
import { startApp } from './helper.ts'

const { app, client, db } = await startApp(t)

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
  const id = await client.createConfig({ name: 'First' })
  const elsewhere = new Chatbots(app.store.chatbots, startBus(t), app.webhookRelay)
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

t.test('a change made elsewhere is noticed when the other replica tells of it', async (t) => {
  const id = await client.createConfig({ name: 'First' })
  const elsewhere = new Chatbots(app.store.chatbots, app.bus, app.webhookRelay)
  const first = (await elsewhere.find('default', id))!
  const readAt = performance.now()
  await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { name: 'Second' } })
  t.equal(elsewhere.recent('default', id), undefined, 'it has to be read anew')
  elsewhere.remember(first, readAt)
  t.equal(elsewhere.recent('default', id), undefined, 'and not by a reading that was overtaken')
  const second = (await elsewhere.find('default', id))!
  elsewhere.remember(first, readAt)
  t.match(elsewhere.recent('default', id), { name: 'Second' })
  app.bus.publish('config-changed', { configId: id, version: 2 })
  t.match(elsewhere.recent('default', id), { name: 'Second' }, 'who knows the version need not read it again')
  await client.ask(`/api/configs/${id}`, { method: 'DELETE' })
  elsewhere.remember(second, readAt)
  t.equal(elsewhere.recent('default', id), undefined, 'what is deleted does not come back')
})

t.test('what is kept grows old from the beginning of its reading', async (t) => {
  const id = await client.createConfig()
  const elsewhere = new Chatbots(app.store.chatbots, startBus(t), app.webhookRelay)
  const chatbot = (await app.store.chatbots.find('default', id))!
  elsewhere.remember(chatbot, performance.now() - 2000)
  t.match(elsewhere.recent('default', id), { id })
  elsewhere.remember(chatbot, performance.now() - 4000)
  t.equal(elsewhere.recent('default', id), undefined)
})

t.test('a version is kept in memory, but only as long as the chatbot is known to live', async (t) => {
  const id = await client.createConfig({ name: 'First' })
  const elsewhere = new Chatbots(app.store.chatbots, app.bus, app.webhookRelay)
  t.match(await elsewhere.find('default', id, 1), { name: 'First', version: 1 })
  await client.ask(`/api/configs/${id}`, { method: 'PATCH', body: { name: 'Second' } })
  t.equal(elsewhere.recent('default', id, 1), undefined)
  t.match(await elsewhere.find('default', id, 1), { name: 'First', version: 1 })
  await db.collection('configVersions').deleteMany({})
  t.match(elsewhere.recent('default', id, 1), { name: 'First', version: 1 })
  t.match(elsewhere.recent('default', id, 2), { name: 'Second', version: 2 })
  t.match(elsewhere.recent('default', id), { name: 'Second', version: 2 })
  t.match(await elsewhere.find('default', id, 1), { name: 'First' }, 'it is not read again')
  t.equal(elsewhere.recent('other', id, 1), undefined)
  for (const version of [0, 3]) {
    t.equal(elsewhere.recent('default', id, version), undefined)
    t.equal(await elsewhere.find('default', id, version), undefined)
  }
  await client.ask(`/api/configs/${id}`, { method: 'DELETE' })
  t.equal(elsewhere.recent('default', id, 1), undefined)
  t.equal(await elsewhere.find('default', id, 1), undefined)
})
