import { ObjectId } from 'mongodb'
import t from 'tap'
import { configRequests, path, type DiffView, type HeadView } from '../configs.ts'
import { contents, isProblem, nobody, pages, type PageView, type SessionView } from '../edge.ts'
import { promptOf, startAppWithSim } from '../sim.ts'

const { app, client, clientFor, db, sim } = await startAppWithSim(t)
const { ask, put, patch, rollback, versionsOf, versionOf, numbersOf, changed } = configRequests(client)

const diff = async (id: string, rest: string) => (await ask<DiffView>(id, `/versions/${rest}`)).body
const say = async (session: string) => {
  const { body } = await client.ask<{ botMessage: { configVersion: number } }>(`/api/sessions/${session}/messages`, { body: { message: 'Hello' } })
  return { configVersion: body.botMessage.configVersion, system: promptOf(sim, sim.requests().length - 1)[0]!.content }
}

t.test('every change makes a version, which stays as it was', async (t) => {
  const id = await changed()
  const current = (await ask(id)).body
  t.match(current, { purpose: 'One.', domain: ['a'], version: 4, note: 'Back.' })
  const versions = await versionsOf(id)
  t.match(versions, [
    { version: 4, note: 'Back.', createdAt: current.updatedAt },
    { version: 3, note: null },
    { version: 2, note: 'Rewritten.' },
    { version: 1, note: 'The first.', createdAt: current.createdAt }
  ])
  t.notOk('settings' in versions[0]!, 'the settings are read one by one')
  const [first, second, third, fourth] = await Promise.all([1, 2, 3, 4].map(async (version) => await versionOf(id, version)))
  t.match(second, { ...versions[2], settings: { purpose: 'Two.', domain: [], tone: { style: 'friendly' }, model: { temperature: 1 } } })
  t.match(third, { ...versions[1], settings: { purpose: 'Two.', tone: { style: 'formal' } } })
  t.same(third!.settings.model, { maxTokens: 5 })
  t.same(fourth!.settings, first!.settings)
  const { id: _i, version: _v, note: _n, specificationId: _s, createdAt: _c, updatedAt: _u, ...settings } = current
  t.same(fourth!.settings, settings, 'all settings, and nothing else')
  await put(id, { purpose: 'Five.' })
  for (const version of [first, second, third, fourth]) t.same(await versionOf(id, version!.version), version)
})

t.test('a note belongs to the change that it came with', async (t) => {
  const id = await client.createConfig({ note: '😀'.repeat(500) })
  t.equal((await ask(id)).body.note, '😀'.repeat(500))
  t.equal((await patch(id, { name: 'A' })).body.note, null)
  t.equal((await patch(id, { note: 'Why?' })).body.note, 'Why?')
  const read = (await ask(id)).body
  t.equal((await put(id, read)).body.note, 'Why?', 'what a GET answers can be put back')
  t.equal((await put(id, { ...read, note: null })).body.note, null)
  t.equal((await patch(id, { note: null })).body.note, null)
  t.equal((await rollback(id, { version: 1 })).body.note, null)
  t.same((await versionsOf(id)).map(({ note }) => note?.slice(0, 4) ?? null), [null, null, null, 'Why?', 'Why?', null, '😀😀'])
})

t.test('a specification is remembered through all changes', async (t) => {
  const specificationId = 'a'.repeat(24)
  // Whether there is such a specification is asked at the edge.
  const { id } = await app.chatbots.create('default', { purpose: 'Help.', specificationId })
  await put(id, { purpose: 'x', specificationId: nobody })
  await patch(id, { name: 'y' })
  t.match(await rollback(id, { version: 2 }), { body: { specificationId, version: 4 } })
  t.notOk('specificationId' in (await versionOf(id, 2)).settings)
})

t.test('versions are listed in pages, the newest first', async (t) => {
  const id = await client.createConfig()
  for (let i = 2; i <= 12; i++) await patch(id, { name: `Name ${i}` })
  const read = await pages<HeadView>(client, path(id, '/versions'), 5)
  t.same(read.map((page) => page.map(({ version }) => version)), [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]])
  t.same((await pages<HeadView>(client, path(id, '/versions'), 6)).map(({ length }) => length), [6, 6], 'no empty page at the end')
  const { body: { nextCursor } } = await ask<PageView<HeadView>>(id, '/versions?limit=5')
  await patch(id, { name: 'In between' })
  const { body: { data } } = await ask<PageView<HeadView>>(id, `/versions?limit=2&cursor=${nextCursor}`)
  t.same(data.map(({ version }) => version), [7, 6], 'what is added at the front moves nothing')
  t.match(await ask(id, '/versions?cursor=1'), { status: 200, body: { data: [], nextCursor: null } })
  for (const query of ['limit=0', 'limit=101', 'limit=x', 'cursor=', 'cursor=abc', 'cursor=0', 'cursor=-1', 'cursor=1.5', 'cursor=99999999999', 'page=2']) {
    isProblem(t, await ask(id, `/versions?${query}`), 'validation_failed', query)
  }
})

t.test('two versions are compared setting by setting', async (t) => {
  const id = await changed()
  t.same(await diff(id, '2/diff'), {
    version: 2,
    with: 1,
    changes: [
      { path: '/name', from: 'One.', to: 'Two.' },
      { path: '/purpose', from: 'One.', to: 'Two.' },
      { path: '/domain', from: ['a'], to: [] },
      { path: '/model/temperature', to: 1 },
      { path: '/titles', from: false, to: true },
      { path: '/summaries', from: false, to: true }
    ]
  })
  t.same((await diff(id, '3/diff')).changes, [
    { path: '/tone/style', from: 'friendly', to: 'formal' }, { path: '/model/temperature', from: 1 }, { path: '/model/maxTokens', to: 5 }
  ])
  t.same(await diff(id, '4/diff?with=1'), { version: 4, with: 1, changes: [] })
  t.same((await diff(id, '2/diff?with=3')).changes.map(({ path, from = null, to = null }) => [path, from, to]), [
    ['/tone/style', 'formal', 'friendly'], ['/model/maxTokens', 5, null], ['/model/temperature', null, 1]
  ], 'in both directions')
  const first = await diff(id, '1/diff')
  t.match(first, { version: 1, with: null })
  t.match(first.changes.find(({ path }) => path === '/tone'), { path: '/tone', to: { style: 'friendly', language: 'en' } })
  t.same(first.changes.map(({ path }) => path), Object.keys((await versionOf(id, 1)).settings).map((name) => `/${name}`))
})

t.test('going back depends on the version where it is asked to', async (t) => {
  const id = await changed()
  const back = await rollback(id, { version: 2 }, { 'if-match': '"4"' })
  t.match(back, { status: 200, body: { version: 5, purpose: 'Two.' } })
  t.equal(back.headers.get('etag'), '"5"')
  const before = await contents(db)
  isProblem(t, await rollback(id, { version: 2 }, { 'if-match': '"4"' }), 'version_mismatch')
  t.equal(await contents(db), before)
  t.match(await rollback(id, { version: 5 }, { 'if-match': '*' }), { status: 200, body: { version: 6, purpose: 'Two.' } }, 'to where it is')
})

t.test('a version that is not there is not found, and a number that is none is refused', async (t) => {
  const id = await changed()
  const before = await contents(db)
  for (const version of [5, 2_147_483_647]) {
    isProblem(t, await ask(id, `/versions/${version}`), 'not_found')
    isProblem(t, await ask(id, `/versions/${version}/diff`), 'not_found')
    isProblem(t, await ask(id, `/versions/1/diff?with=${version}`), 'not_found')
    isProblem(t, await rollback(id, { version }), 'not_found')
    const refused = await client.ask('/api/sessions', { body: { configId: id, configVersion: version } })
    isProblem(t, refused, 'validation_failed')
    t.match(refused.body, { errors: [{ path: '/configVersion' }] })
  }
  for (const version of ['0', '-1', '1.5', 'x', '2147483648', '1e99', 'null', '$ne', '%F0%9F%98%80']) {
    isProblem(t, await ask(id, `/versions/${version}`), 'validation_failed', version)
    isProblem(t, await ask(id, `/versions/${version}/diff`), 'validation_failed', version)
    isProblem(t, await ask(id, `/versions/1/diff?with=${version}`), 'validation_failed', version)
  }
  t.match((await ask(id, '/versions/x')).body, { errors: [{ path: '/version' }] })
  isProblem(t, await client.ask('/api/sessions', { body: { configId: nobody, configVersion: 1 } }), 'not_found')
  t.equal(await contents(db), before)
})

t.test('another tenant finds nothing, and nothing that tells more than an unknown id does', async (t) => {
  const id = await changed()
  const other = await clientFor('other-tenant', 'admin')
  const before = await contents(db)
  for (const [rest, body] of [
    ['/versions'], ['/versions/1'], ['/versions/9'], ['/versions/2/diff'], ['/export'], ['/rollback', { version: 1 }]
  ] as const) {
    const [foreign, unknown] = await Promise.all([id, nobody].map(async (id) => await other.ask(path(id, rest), { body })))
    isProblem(t, foreign!, 'not_found', rest)
    const told = ({ body }: { body: object }, id: string) => JSON.stringify({ ...body, requestId: '' }).replaceAll(id, 'ID')
    t.equal(told(foreign!, id), told(unknown!, nobody))
  }
  t.equal(await contents(db), before)
  for (const [scope, wrong] of [['configs:write', 'configs:read'], ['configs:read', 'configs:write']] as const) {
    const who = await clientFor('default', scope)
    const requests = wrong === 'configs:read'
      ? [['/versions'], ['/versions/1'], ['/versions/1/diff'], ['/export']] as const
      : [['/rollback', { version: 1 }]] as const
    for (const [rest, body] of requests) isProblem(t, await who.ask(path(id, rest), { body }), 'forbidden', `${scope} ${rest}`)
  }
})

t.test('changes at once lose no version', async (t) => {
  const id = await client.createConfig({ name: 'Name 0' })
  const changes = Array.from({ length: 60 }, async (_, i) => {
    if (i % 3 === 0) return await put(id, { purpose: 'Help.', name: `Name ${i}` })
    return i % 3 === 1 ? await patch(id, { name: `Name ${i}` }) : await rollback(id, { version: 1 })
  })
  const answers = await Promise.all(changes)
  const made = answers.filter(({ status }) => status === 200)
  for (const refused of answers.filter(({ status }) => status !== 200)) isProblem(t, refused, 'conflict')
  t.ok(made.length >= 10, `${made.length} changes were made`)
  t.same(await numbersOf(id), Array.from({ length: made.length + 1 }, (_, i) => made.length + 1 - i))
  for (const { body } of made) t.match(await versionOf(id, body.version), { settings: { name: body.name }, createdAt: body.updatedAt })
})

t.test('what a crash between the two writes of a change leaves behind is harmless', async (t) => {
  const id = await client.createConfig({ purpose: 'One.' })
  const kept = await app.store.chatbots.find('default', id)
  const { id: _i, tenantId: _t, version, note, specificationId: _s, createdAt, updatedAt: _u, ...settings } = kept!
  await app.store.chatbots.versions.keep(kept!, [{ version, note, createdAt, settings }])
  t.same(await numbersOf(id), [1], 'it is listed once')
  t.match(await versionOf(id, 1), { settings: { purpose: 'One.' } })
  t.match((await put(id, { purpose: 'Two.' })).body, { version: 2 })
  t.same(await numbersOf(id), [2, 1])
})

t.test('a chatbot that is deleted leaves no version behind, whatever is under way', async (t) => {
  const id = await changed()
  const stale = (await app.store.chatbots.find('default', id))!
  t.equal((await ask(id, '', { method: 'DELETE' })).status, 204)
  for (const rest of ['/versions', '/versions/1', '/versions/2/diff', '/export']) isProblem(t, await ask(id, rest), 'not_found', rest)
  isProblem(t, await rollback(id, { version: 1 }), 'not_found')
  await app.chat.purge()
  const ofIt = { configId: new ObjectId(id) }
  t.equal(await db.collection('configVersions').countDocuments(ofIt), 0)
  t.equal(await app.store.chatbots.change(stale, { settings: stale, note: null }, new Date()), undefined)
  t.equal(await db.collection('configVersions').countDocuments(ofIt), 0, 'nor does a change that comes too late')
})

t.test('documents from before there were versions read like any other', async (t) => {
  const _id = new ObjectId()
  const now = new Date()
  await db.collection('configs').insertOne({
    _id,
    tenantId: 'default',
    name: 'Old',
    purpose: 'Old.',
    domain: [],
    tone: { style: '', language: 'en' },
    channels: [],
    integrations: [],
    instructions: '',
    model: {},
    historyLimit: 20,
    version: 7,
    createdAt: now,
    updatedAt: now,
    deletedAt: null
  })
  const id = _id.toHexString()
  const missing = { fallback: 'none', titles: true, summaries: true }
  t.match((await ask(id)).body, { ...missing, note: null, specificationId: null, version: 7 })
  await patch(id, { name: 'New' })
  t.same(await numbersOf(id), [8, 7], 'those before are not known')
  t.match(await versionOf(id, 7), { settings: { ...missing, name: 'Old' } })
  isProblem(t, await ask(id, '/versions/6'), 'not_found')
  isProblem(t, await ask(id, '/versions/7/diff'), 'not_found', 'the version before it is not known')
})

t.test('after a rollback the next prompt holds the old text, and the reply tells the version', async (t) => {
  const id = await client.createConfig({ instructions: 'Say A.' })
  const session = await client.createSession(id)
  const told = async () => {
    const { configVersion, system } = await say(session)
    return [configVersion, /Say .\./.exec(system)?.[0]]
  }
  t.same(await told(), [1, 'Say A.'])
  await patch(id, { instructions: 'Say B.' })
  t.same(await told(), [2, 'Say B.'])
  await rollback(id, { version: 1 })
  t.same(await told(), [3, 'Say A.'])
})

t.test('a session that keeps to a version is not moved by changes', async (t) => {
  const id = await client.createConfig({ instructions: 'Say A.', channels: ['web'] })
  await put(id, { purpose: 'x', instructions: 'Say B.', titles: false, summaries: false })
  const open = async (input: object) => await client.ask<SessionView & { configVersion: number | null }>('/api/sessions', { body: { configId: id, ...input } })
  const [pinned, newest, following] = await Promise.all([open({ configVersion: 1 }), open({ configVersion: 2 }), open({})])
  t.same([pinned, newest, following].map(({ body }) => body.configVersion), [1, 2, null])
  t.match(await client.ask(`/api/sessions/${pinned.body.id}`), { body: { configVersion: 1 } })
  isProblem(t, await open({ configVersion: 1, channel: 'sms' }), 'validation_failed', 'its channels are those of the version')
  t.equal((await open({ configVersion: 2, channel: 'sms' })).status, 201)
  await put(id, { purpose: 'x', instructions: 'Say C.', titles: false, summaries: false })
  for (const round of [1, 2]) {
    for (const [session, version, text] of [[pinned, 1, /Say A\./], [newest, 2, /Say B\./], [following, 3, /Say C\./]] as const) {
      t.match(await say(session.body.id), { configVersion: version, system: text }, `version ${version}, turn ${round}`)
    }
  }
  await ask(id, '', { method: 'DELETE' })
  isProblem(t, await client.ask(`/api/sessions/${pinned.body.id}/messages`, { body: { message: 'Hello' } }), 'not_found')
})
