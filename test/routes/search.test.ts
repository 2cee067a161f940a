import { setImmediate } from 'node:timers/promises'
import { ObjectId } from 'mongodb'
import t from 'tap'
import { type SearchPage } from '../../schemas/search.ts'
import { bearer, isProblem, JWT_SECRET, nobody, pages } from '../edge.ts'
import { type Client, startApp } from '../helper.ts'

const { client, clientFor, db } = await startApp(t, { JWT_SECRET })
const config = await client.createConfig()
const session = await client.createSession(config)

async function say (message: string, to = session): Promise<string> {
  const { status, body } = await client.ask<{ userMessage: { id: string } }>(`/api/sessions/${to}/messages`, { body: { message } })
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body.userMessage.id
}

async function search (q: string, query: Record<string, string> = {}, as: Client = client): Promise<SearchPage['data']> {
  const { status, body } = await as.ask<SearchPage>(`/api/messages/search?${new URLSearchParams({ q, ...query }).toString()}`)
  if (status !== 200) throw new Error(JSON.stringify(body))
  return body.data
}

const textsOf = (found: SearchPage['data']) => found.map(({ message }) => message.content)
const marksOf = (found: SearchPage['data']) => found.map(({ snippet, highlights }) => highlights.map(({ start, end }) => snippet.slice(start, end)))

/** Waits until all that was said is in the index. */
async function indexed (): Promise<void> {
  while (await db.collection('sessions').countDocuments({ unindexed: true, status: 'active' }) > 0) await setImmediate()
}

const texts = [
  'Can I send my orders back?', 'Wo finde ich die RECHNUNG für meine Bestellung?', '東京都に住んでいます', 'ฉันรักประเทศไทย',
  'Crème brûlée, please', '<script>alert("orders")</script>', 'Доставка заказов в Киев', 'Καλημέρα κόσμε'
]
for (const text of texts) await say(text)

const other = await client.createConfig()
const narrow = ['narrow one', 'narrow two', 'narrow three']
await say(narrow[0]!, await client.createSession(config, { userId: 'anna' }))
await say(narrow[1]!, await client.createSession(other, { userId: 'anna' }))
await say(narrow[2]!, await client.createSession(other, { userId: 'ben' }))

const vanishing = await Promise.all([config, config, config, await client.createConfig()].map(async (configId, i) => {
  const session = await client.createSession(configId)
  return { configId, session, message: await say(`vanishing w${i}q`, session) }
}))

/** A session with 25 messages, each longer than the one before. */
async function writeMany (): Promise<ObjectId> {
  const _id = new ObjectId(await client.createSession(config))
  await db.collection('messages').insertMany(Array.from({ length: 25 }, (_, i) => ({
    tenantId: 'default',
    sessionId: _id,
    configId: new ObjectId(config),
    userId: null,
    channel: null,
    seq: i + 1,
    rev: i + 1,
    parentId: null,
    role: 'user',
    content: `paged ${'more '.repeat(i)}`,
    timestamp: new Date(i * 1000),
    status: 'completed'
  })))
  await db.collection('sessions').updateOne({ _id }, { $set: { nextSeq: 26, rev: 25, unindexed: true } })
  return _id
}
const many = await writeMany()

for (const moment of ['at once', 'from the index']) {
  t.test(`a message is found in any language, ${moment}`, async (t) => {
    if (moment === 'from the index') await indexed()
    const finds = async (q: string, text: string, marks: string[]) => {
      const found = await search(q)
      t.equal(found[0]?.message.content, text, q)
      t.same(marksOf(found)[0], marks)
    }
    await finds('ordered send', texts[0]!, ['send', 'orders'])
    await finds('rechnungen bestellungen', texts[1]!, ['RECHNUNG', 'Bestellung'])
    await finds('東京', texts[2]!, ['東京'])
    await finds('ประเทศไทย', texts[3]!, ['ประเทศไทย'])
    await finds('creme brulee', texts[4]!, ['Crème', 'brûlée'])
    await finds('Cre\u0300me BRU\u0302LE\u0301E', texts[4]!, ['Crème', 'brûlée'])
    await finds('script', texts[5]!, ['script', 'script'])
    await finds('доставки заказа', texts[6]!, ['Доставка', 'заказов'])
    await finds('καλημερα', texts[7]!, ['Καλημέρα'])
    const [script] = await search('script')
    t.match(script, { message: { sessionId: session, role: 'user', status: 'completed' }, score: Number, snippet: texts[5] })
    t.same(textsOf(await search('orders')).sort(), [texts[0], texts[5]].sort())
    t.same(await search('xyzzy'), [])
    t.same(await search('?!'), [], 'without a word')
  })

  t.test(`a search can be narrowed, ${moment}`, async (t) => {
    t.same(textsOf(await search('narrow')).sort(), narrow.toSorted())
    t.same(textsOf(await search('narrow', { configId: config })), ['narrow one'])
    t.same(textsOf(await search('narrow', { userId: 'anna' })).sort(), ['narrow one', 'narrow two'])
    t.same(textsOf(await search('narrow', { userId: 'anna', configId: other })), ['narrow two'])
    t.same(await search('narrow', { userId: 'nobody' }), [])
    t.same(await search('narrow', { configId: nobody }), [])
    const [found] = await search('two', { userId: 'anna' })
    const { timestamp } = found!.message
    t.same(textsOf(await search('two', { from: timestamp })), ['narrow two'])
    t.same(await search('two', { to: timestamp }), [], 'the end is not included')
  })

  t.test(`whoever may only chat finds what they said, and no tenant finds what is another's, ${moment}`, async (t) => {
    const anna = bearer(client, { sub: 'anna', scope: 'chat' })
    t.same(textsOf(await search('narrow', {}, anna)).sort(), ['narrow one', 'narrow two'])
    t.same(textsOf(await search('narrow', { userId: 'anna' }, anna)).length, 2)
    t.same(await search('narrow', { userId: 'ben' }, anna), [])
    t.same(await search('narrow', {}, bearer(client, { tid: 'others', sub: 'anna', scope: 'chat' })), [])
    t.same(await search('narrow', {}, await clientFor('others', 'sessions:read')), [])
  })

  t.test(`results come page by page, each once, ${moment}`, async (t) => {
    const found = await pages<SearchPage['data'][number]>(client, '/api/messages/search?q=paged', 10)
    t.same(found.map(({ length }) => length), [10, 10, 5])
    const all = found.flat()
    t.same(all.map(({ message }) => message.seq), Array.from({ length: 25 }, (_, i) => i + 1), 'the shortest first')
    t.same(all.map(({ score }) => score), all.map(({ score }) => score).toSorted((a, b) => b - a))
    t.equal((await client.ask('/api/messages/search?q=paged&limit=25')).body['nextCursor'], null)
  })
}

t.test('what is gone leaves no gap in a page', async (t) => {
  await db.collection('messages').deleteMany({ sessionId: many, seq: { $lte: 20 } })
  t.equal((await search('paged', { limit: '5' })).length, 5)
})

t.test('what is deleted is not found any more', async (t) => {
  const found = async () => textsOf(await search('vanishing')).sort()
  t.equal((await found()).length, 4)
  const remove = async (path: string) => await client.ask(path, { method: 'DELETE' })
  await remove(`/api/sessions/${vanishing[0]!.session}/messages/${vanishing[0]!.message}`)
  t.same(await found(), ['vanishing w1q', 'vanishing w2q', 'vanishing w3q'])
  await remove(`/api/sessions/${vanishing[1]!.session}/messages`)
  t.same(await found(), ['vanishing w2q', 'vanishing w3q'])
  await remove(`/api/sessions/${vanishing[2]!.session}`)
  t.same(await found(), ['vanishing w3q'])
  await remove(`/api/configs/${vanishing[3]!.configId}`)
  t.same(await found(), [])
})

t.test('a message on a branch that was left is found, too', async (t) => {
  const branched = await client.createSession(config)
  const first = await say('forking paths', branched)
  await client.ask(`/api/sessions/${branched}/messages/${first}`, { method: 'PUT', body: { message: 'forking roads' } })
  t.same(textsOf(await search('forking')).sort(), ['forking paths', 'forking roads'])
})

t.test('a search that makes no sense is refused', async (t) => {
  const queries: Array<[query: string, path: string]> = [
    ['', '/q'], ['q=', '/q'], ['q=%20', '/q'], [`q=${'x'.repeat(501)}`, '/q'], ['q=a&q=b', '/q'], ['q=%00', '/q'],
    ['q=a&limit=0', '/limit'], ['q=a&limit=51', '/limit'], ['q=a&configId=x', '/configId'], ['q=a&from=yesterday', '/from'],
    ['q=a&cursor=x', '/cursor'], [`q=a&cursor=${Buffer.from('hit:99999').toString('base64url')}`, '/cursor'], ['q=a&page=2', '/page']
  ]
  for (const [query, path] of queries) {
    const answer = await client.ask<{ errors: Array<{ path: string }> }>(`/api/messages/search?${query}`)
    isProblem(t, answer, 'validation_failed', query)
    t.match(answer.body.errors[0]?.path, path)
  }
  isProblem(t, await (await clientFor('default', 'chat')).ask('/api/messages/search?q=x'), 'forbidden')
  isProblem(t, await (await clientFor('default', 'configs:read')).ask('/api/messages/search?q=x'), 'forbidden')
  const far = Buffer.from('hit:9999').toString('base64url')
  t.same((await client.ask(`/api/messages/search?q=narrow&cursor=${far}`)).body, { data: [], nextCursor: null })
  t.same(await search('w '.repeat(240)), [], 'many words')
})
