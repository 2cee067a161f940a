import t from 'tap'
import { contents, isProblem, nobody, pages, type ConfigView, type PageView } from '../edge.ts'
import { startApp } from '../helper.ts'

const { app, client, clientFor, db } = await startApp(t)
const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

const create = async (input: Record<string, unknown> = {}) =>
  await client.ask<ConfigView>('/api/configs', { body: { purpose: 'Help.', ...input } })
const path = (id: string) => `/api/configs/${id}`
const change = async (method: string, id: string, body: unknown, headers: Record<string, string> = {}) =>
  await client.ask<ConfigView>(path(id), { method, body, headers })

t.test('a configuration is made of a purpose, and everything else has a default', async (t) => {
  const { status, headers, body } = await create({ purpose: 'Answer questions about orders.' })
  t.equal(status, 201)
  t.equal(headers.get('location'), path(body.id))
  t.equal(headers.get('etag'), '"1"')
  t.match(body.id, /^[0-9a-f]{24}$/)
  t.match(body.createdAt, timestamp)
  t.same(body, {
    id: body.id,
    name: 'Answer questions about orders.',
    purpose: 'Answer questions about orders.',
    domain: [],
    tone: { style: 'friendly', language: 'en' },
    channels: [],
    integrations: [],
    instructions: '',
    model: {},
    fallback: 'none',
    historyLimit: 20,
    titles: true,
    summaries: true,
    specificationId: null,
    version: 1,
    note: null,
    createdAt: body.createdAt,
    updatedAt: body.createdAt
  })
  t.same((await client.ask(path(body.id))).body, body, 'it reads as it was answered')
})

t.test('everything that is said of a configuration is kept', async (t) => {
  const input = {
    purpose: 'Help.',
    name: 'Desk',
    domain: ['shipping', 'returns'],
    tone: { style: 'formal', language: 'pt-BR' },
    channels: ['web', 'email'],
    integrations: ['crm'],
    instructions: 'Say "hello".\nThen listen. 😀',
    model: { name: 'mistral-large-latest', temperature: 1.5, maxTokens: 8192 },
    fallback: 'offline',
    historyLimit: 100,
    titles: false,
    summaries: false,
    note: 'The first one.'
  }
  const { body } = await create(input)
  const { id, version, specificationId: _, createdAt, updatedAt, ...kept } = body
  t.same(kept, input)
  t.match({ id, version, createdAt, updatedAt }, { version: 1, createdAt: timestamp, updatedAt: timestamp })
  t.same((await create({ model: { temperature: 0 } })).body.model, { temperature: 0 })
})

t.test('the default name is the start of the purpose, cut between words', async (t) => {
  const nameOf = async (purpose: string) => (await create({ purpose })).body.name
  t.equal(await nameOf('  Help with orders.\r\nBe nice.'), 'Help with orders.')
  const long = await nameOf('Answer every question that anybody could have about deliveries and returns.')
  t.equal(long, 'Answer every question that anybody could have about…')
  t.equal([...await nameOf('😀'.repeat(2000))].length, 60, 'a text without a space is cut between characters')
  t.ok((await nameOf('😀'.repeat(2000))).isWellFormed())
})

t.test('a language is a tag or an English name, and is stored as its tag', async (t) => {
  const languages = {
    de: 'de', EN: 'en', 'pt-br': 'pt-BR', German: 'de', english: 'en', ' French ': 'fr', Norwegian: 'no', 'Swiss German': 'gsw', 'zh-hant-TW': 'zh-Hant-TW'
  }
  for (const [given, tag] of Object.entries(languages)) {
    t.equal((await create({ tone: { language: given } })).body.tone.language, tag, given)
  }
  for (const wrong of ['Elvish tongue', 'en_US', 'xx', 'qqq', 'e', 'deutschland', '123', 'toString']) {
    const refused = await client.ask('/api/configs', { body: { purpose: 'x', tone: { language: wrong } } })
    isProblem(t, refused, 'validation_failed', wrong)
    t.match(refused.body, { errors: [{ path: '/tone/language' }] })
  }
})

t.test('a list gives every configuration once, the newest first, in pages', async (t) => {
  const other = await clientFor('lists', 'admin')
  const made: string[] = []
  for (let i = 0; i < 45; i++) made.unshift(await other.createConfig({ purpose: `Number ${i}` }))
  const read = await pages<ConfigView>(other, '/api/configs', 10)
  t.same(read.map((page) => page.length), [10, 10, 10, 10, 5])
  const [ids, times] = [read.flat().map(({ id }) => id), read.flat().map(({ createdAt }) => createdAt)]
  t.same(new Set(ids), new Set(made))
  t.same(times, times.toSorted().reverse())
  t.same((await pages<ConfigView>(other, '/api/configs', 7)).flat().map(({ id }) => id), ids,
    'the order does not depend on the pages')
  t.match((await other.ask<PageView<ConfigView>>('/api/configs')).body, { data: { length: 20 }, nextCursor: String },
    '20 by default')
  t.match((await other.ask<PageView<ConfigView>>('/api/configs?limit=45')).body,
    { data: { length: 45 }, nextCursor: null })

  const { nextCursor } = (await other.ask<PageView<ConfigView>>('/api/configs?limit=10')).body
  await other.createConfig({ purpose: 'In between' })
  const { data } = (await other.ask<PageView<ConfigView>>(`/api/configs?limit=10&cursor=${nextCursor}`)).body
  t.same(data.map(({ id }) => id), ids.slice(10, 20), 'what is added at the front moves nothing')
})

t.test('configurations of one instant are paged without loss', async (t) => {
  const other = await clientFor('instant', 'admin')
  const all = await Promise.all(Array.from({ length: 12 }, () => other.createConfig()))
  await db.collection('configs').updateMany({ tenantId: 'instant' }, { $set: { createdAt: new Date('2026-01-01') } })
  const read = (await pages<ConfigView>(other, '/api/configs', 5)).flat().map(({ id }) => id)
  t.same(read, all.toSorted().reverse())
})

t.test('a limit out of bounds or a cursor of nowhere is refused', async (t) => {
  for (const query of [
    'limit=0', 'limit=101', 'limit=-1', 'limit=1.5', 'limit=ten', 'limit=', 'limit=NaN', 'limit=1&limit=2',
    'cursor=', 'cursor=abc', 'cursor=%24ne', 'cursor=1&cursor=2', `cursor=${'a'.repeat(300)}`,
    `cursor=${Buffer.from(`1:${'g'.repeat(24)}`).toString('base64url')}`, 'page=2', '$where=1', 'a[$ne]=1', 'limit[$gt]=1'
  ]) isProblem(t, await client.ask(`/api/configs?${query}`), 'validation_failed', query)
})

t.test('a reader with the current version is told that nothing changed', async (t) => {
  const { body: { id } } = await create()
  const read = async (header: string) => await client.fetch(path(id), { headers: { 'if-none-match': header } })
  for (const header of ['"1"', '*', '"7", "1"', 'W/"1"', '"a", W/"1"']) {
    const response = await read(header)
    t.equal(response.status, 304, header)
    t.equal(await response.text(), '')
    t.match(Object.fromEntries(response.headers), { etag: '"1"', 'x-request-id': String })
    t.notOk(response.headers.get('content-length'), 'a 304 has no body to have a length')
  }
  for (const header of ['"2"', '1', '"01"', 'foo', '""', '"1']) {
    const response = await read(header)
    t.equal(response.status, 200, header)
    t.equal(response.headers.get('etag'), '"1"')
    await response.body?.cancel()
  }
})

t.test('a change can be made to depend on the version', async (t) => {
  const bodies = { PUT: { purpose: 'Changed.' }, PATCH: { instructions: 'Changed.' } }
  for (const [method, body] of Object.entries(bodies)) {
    const { body: { id } } = await create()
    t.match(await change(method, id, body, { 'if-match': '"1"' }), { status: 200, body: { version: 2 } })
    t.match(await change(method, id, body, { 'if-match': '*' }), { status: 200, body: { version: 3 } })
    t.match(await change(method, id, body, { 'if-match': '"1", "3"' }), { status: 200, body: { version: 4 } })
    const last = await change(method, id, body)
    t.match(last, { status: 200, body: { version: 5 } }, 'without If-Match the last write wins')
    t.equal(last.headers.get('etag'), '"5"')
    const before = await contents(db)
    for (const header of ['"4"', 'W/"5"', '5', '"05"', 'nonsense']) {
      isProblem(t, await client.ask(path(id), { method, body, headers: { 'if-match': header } }), 'version_mismatch',
        `${method} ${header}`)
    }
    t.equal(await contents(db), before)
    isProblem(t, await client.ask(path(nobody), { method, body, headers: { 'if-match': '"1"' } }), 'not_found')
  }
})

t.test('of two replacements of one version, one is made', async (t) => {
  const { body: { id } } = await create()
  const answers = await Promise.all(['a', 'b',
    'c'].map((purpose) => change('PUT', id, { purpose }, { 'if-match': '"1"' })))
  t.same(answers.map(({ status }) => status).sort(), [200, 412, 412])
})

t.test('PUT replaces everything and ignores what only the server says', async (t) => {
  const { body: made } = await create({
    name: 'Old',
    domain: ['a'],
    tone: { language: 'de' },
    fallback: 'offline',
    historyLimit: 5,
    model: { maxTokens: 9 }
  })
  const { status, body } = await change('PUT', made.id, {
    purpose: 'New.', id: nobody, version: 99, specificationId: nobody, createdAt: 'yesterday', updatedAt: { $gt: '' }
  })
  t.equal(status, 200)
  t.match(body, {
    id: made.id,
    name: 'New.',
    purpose: 'New.',
    domain: [],
    tone: {
      style: 'friendly',
      language: 'en'
    },
    model: {},
    fallback: 'none',
    historyLimit: 20,
    version: 2,
    createdAt: made.createdAt
  })
  t.same(body.model, {})
  const again = await change('PUT', made.id, { ...body, instructions: 'More.' })
  t.match(again, { status: 200, body: { version: 3, instructions: 'More.' } }, 'what a GET answers can be put back')
  isProblem(t, await client.ask(path(made.id), { method: 'PUT', body: { ...body, tenantId: 'other' } }),
    'validation_failed')
  isProblem(t, await client.ask(path(made.id), { method: 'PUT', body: { name: 'No purpose' } }), 'validation_failed')
})

t.test('PATCH merges: what is absent stays, null goes back to the default', async (t) => {
  const { body: { id } } = await create({
    name: 'Desk',
    domain: ['a', 'b'],
    tone: { style: 'formal', language: 'de' },
    channels: ['web'],
    model: {
      name: 'm',
      temperature: 1
    },
    historyLimit: 5
  })
  const patch = async (body: unknown) => (await change('PATCH', id, body)).body
  t.match(await patch({ tone: { style: 'brief' } }), { tone: { style: 'brief', language: 'de' } }, 'objects merge')
  t.match(await patch({ tone: { language: 'Italian' } }), { tone: { style: 'brief', language: 'it' } })
  t.same((await patch({ model: { temperature: null, maxTokens: 7 } })).model, { name: 'm', maxTokens: 7 })
  t.same((await patch({ domain: ['c'] })).domain, ['c'], 'lists are replaced')
  t.equal((await patch({ fallback: 'offline' })).fallback, 'offline')
  t.match(await patch({ titles: false, summaries: false }), { titles: false, summaries: false })
  t.match(await patch({ tone: { style: null } }), { tone: { style: 'friendly', language: 'it' } })
  const reset = await patch({
    name: null,
    domain: null,
    tone: null,
    channels: null,
    model: null,
    fallback: null,
    historyLimit: null,
    titles: null,
    summaries: null,
    integrations: null,
    instructions: null
  })
  t.match(reset, {
    name: 'Help.',
    domain: [],
    tone: { style: 'friendly', language: 'en' },
    channels: [],
    fallback: 'none',
    historyLimit: 20,
    titles: true,
    summaries: true,
    version: 9
  })
  t.same(reset.model, {})
  t.same((await patch({})).purpose, 'Help.')
  const merged = await client.ask(path(id),
    { method: 'PATCH', body: { name: 'X' }, headers: { 'content-type': 'application/merge-patch+json' } })
  t.match(merged, { status: 200, body: { name: 'X' } })
  for (const body of [{ purpose: null }, { id: nobody }, { version: 3 }, { tone: { language: 'Elvish tongue' } },
    { tone: { mood: 'x' } }, { fallback: 'online' }, { specificationId: nobody }, [], 'null', '"x"']) {
    isProblem(t, await client.ask(path(id), { method: 'PATCH', body }), 'validation_failed', JSON.stringify(body))
  }
})

t.test('two patches at once are both applied', async (t) => {
  const { body: { id } } = await create()
  const answers = await Promise.all([change('PATCH', id, { name: 'A' }), change('PATCH', id, { instructions: 'B' })])
  t.same(answers.map(({ status }) => status), [200, 200])
  t.match((await client.ask(path(id))).body, { name: 'A', instructions: 'B', version: 3 })
})

t.test('patches without end at once end in a conflict, not in a lost change', async (t) => {
  const { body: { id } } = await create()
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => change('PATCH', id, { name: `Name ${i}` })))
  const made = answers.filter(({ status }) => status === 200)
  t.match((await client.ask(path(id))).body, { version: 1 + made.length })
  for (const refused of answers.filter(({ status }) => status !== 200)) {
    t.match(refused, { status: 409, body: { code: 'conflict' } })
  }
})

t.test('a deleted configuration takes its sessions and messages with it, for every reader at once', async (t) => {
  const id = await client.createConfig({ instructions: 'We ship on Mondays.' })
  const [kept, gone] = [await client.converse(), await client.createSession(id, { userId: 'deleted-user' })]
  const sent = await client.ask<{ botMessage: { id: string } }>(`/api/sessions/${gone}/messages`,
    { body: { message: 'When do you ship?' } })
  const removed = await client.fetch(path(id), { method: 'DELETE' })
  t.equal(removed.status, 204)
  t.equal(await removed.text(), '')

  const session = `/api/sessions/${gone}`
  const message = `${session}/messages/${sent.body.botMessage.id}`
  for (const [method, url, body] of [
    ['GET', path(id)], ['PUT', path(id), { purpose: 'x' }], ['PATCH', path(id), { purpose: 'x' }], ['DELETE', path(id)],
    ['POST', '/api/sessions', { configId: id }], ['GET', session], ['PATCH', session, { title: 'x' }], ['DELETE',
      session],
    ['GET', `${session}/messages`], ['POST', `${session}/messages`, { message: 'Hello?' }], ['GET', message], ['GET',
      `${message}/stream`], ['POST', `${message}/stop`]
  ] as const) isProblem(t, await client.ask(url, { method, body }), 'not_found', `${method} ${url}`)
  t.same((await client.ask<PageView<unknown>>('/api/sessions?userId=deleted-user')).body,
    { data: [], nextCursor: null })
  t.same((await client.ask<PageView<unknown>>(`/api/sessions?configId=${id}`)).body, { data: [], nextCursor: null })
  t.notOk((await pages<ConfigView>(client, '/api/configs', 100)).flat().some((config) => config.id === id))

  await app.chat.purge()
  t.notMatch(await contents(db), new RegExp(`${id}|${gone}|deleted-user|Mondays`), 'nothing of it is stored any more')
  t.equal((await client.ask(`/api/sessions/${kept}`)).status, 200)
})

t.test('deleting many sessions with their configuration leaves none behind', async (t) => {
  const id = await client.createConfig()
  const config = (await db.collection('configs').findOne({ purpose: 'Help.' }, { sort: { _id: -1 } }))!
  const template = {
    tenantId: 'default',
    configId: config._id,
    userId: 'many',
    channel: null,
    title: null,
    metadata: {},
    status: 'active',
    turn: null
  }
  await db.collection('sessions').insertMany(Array.from({ length: 105 }, (_, i) => ({
    ...template, startedAt: new Date(i), lastActivity: new Date(i), nextSeq: 1
  })))
  t.equal((await client.ask<PageView<unknown>>('/api/sessions?userId=many&limit=100')).body.data.length, 100)
  t.equal((await client.ask(path(id), { method: 'DELETE' })).status, 204)
  t.same((await client.ask<PageView<unknown>>('/api/sessions?userId=many&limit=100')).body,
    { data: [], nextCursor: null })
  await app.chat.purge()
  t.equal(await db.collection('sessions').countDocuments({ userId: 'many' }), 0)
})

t.test('an identifier that names nothing is not found', async (t) => {
  const ids = [nobody, 'x', nobody.toUpperCase(), `${nobody}0`, '%00', '%zz', '$where', '%7B%22%24ne%22%3Anull%7D',
    'a'.repeat(600), '__proto__', '%F0%9F%98%80']
  const bodies = [['GET'], ['PUT', { purpose: 'x' }], ['PATCH', {}], ['DELETE']] as const
  for (const id of ids) {
    for (const [method, body] of bodies) {
      isProblem(t, await client.ask(path(id), { method, body }), 'not_found',
      `${method} ${id.slice(0, 40)}`)
    }
  }
})

t.test('a query on a route that knows none is refused', async (t) => {
  const { body: { id } } = await create()
  for (const [method, url, body] of [
    ['GET', path(id)], ['PUT', path(id), { purpose: 'x' }], ['PATCH', path(id), {}], ['DELETE', path(id)], ['POST',
      '/api/configs', { purpose: 'x' }]
  ] as const) {
    isProblem(t, await client.ask(`${url}?a[$ne]=1`, { method, body }), 'validation_failed',
    `${method} ${url}`)
  }
  t.match((await client.ask(path(id))).body, { version: 1 })
})
