import { ObjectId } from 'mongodb'
import t from 'tap'
import { configRequests, path, type DocumentView } from '../configs.ts'
import { contents, isProblem, type ConfigView } from '../edge.ts'
import { startApp } from '../helper.ts'

const { app, client, clientFor, db } = await startApp(t)
const { ask, patch, versionsOf, versionOf, numbersOf, changed } = configRequests(client)

const exportOf = async (id: string) => (await ask<DocumentView>(id, '/export')).body
const importOf = async (body: unknown) => await client.ask<ConfigView>('/api/configs/import', { body })

t.test('a configuration goes elsewhere with its history', async (t) => {
  const id = await changed()
  const exported = await client.fetch(path(id, '/export'))
  t.equal(exported.headers.get('content-disposition'), `attachment; filename="config-${id}.json"`)
  const document = await exported.json() as DocumentView
  t.match(document, { format: 'parley.config', formatVersion: 1, exportedAt: /Z$/, config: { purpose: 'One.' }, versions: { length: 4 } })
  t.same(document.versions.map(({ version }) => version), [1, 2, 3, 4])
  for (const version of document.versions) t.same(version, await versionOf(id, version.version))

  const elsewhere = await clientFor('elsewhere', 'admin')
  const imported = await elsewhere.ask<ConfigView>('/api/configs/import', { body: document })
  t.equal(imported.status, 201)
  t.equal(imported.headers.get('location'), path(imported.body.id))
  t.equal(imported.headers.get('etag'), '"4"')
  t.match(imported.body, { ...document.config, version: 4, note: 'Back.', specificationId: null, createdAt: document.versions[0]!.createdAt })
  t.same((await elsewhere.ask(path(imported.body.id))).body, imported.body)
  const { body: again } = await elsewhere.ask<DocumentView>(path(imported.body.id, '/export'))
  t.same({ ...again, exportedAt: '' }, { ...document, exportedAt: '' }, 'an export of it is the same document')
  t.match(await elsewhere.ask(path(imported.body.id, '/rollback'), { body: { version: 2 } }), { body: { version: 5, purpose: 'Two.' } })
})

t.test('a history that has lost its beginning is numbered anew', async (t) => {
  const id = await changed()
  const document = await exportOf(id)
  const { body } = await importOf({ ...document, versions: document.versions.slice(2) })
  t.match(body, { version: 2, purpose: 'One.' })
  t.same((await versionsOf(body.id)).map(({ version, note }) => [version, note]), [[2, 'Back.'], [1, null]])
  t.match(await versionOf(body.id, 1), { settings: document.versions[2]!.settings })
})

t.test('a document may have no history, or settings that are newer than it', async (t) => {
  const document = await exportOf(await changed())
  const { versions, ...bare } = document
  for (const body of [bare, { ...bare, versions: [] }]) {
    const { body: imported } = await importOf(body)
    t.match(imported, { purpose: 'One.', version: 1, note: null })
    t.ok(imported.createdAt >= document.exportedAt)
  }
  const { body: edited } = await importOf({ ...document, config: { purpose: 'Edited.', tone: { language: 'German' } } })
  t.match(edited, { purpose: 'Edited.', tone: { language: 'de' }, version: 5, note: null })
  t.same(await versionOf(edited.id, 4), versions[3])
})

t.test('who may read may export, and who may write may import', async (t) => {
  const id = await client.createConfig()
  const [reader, writer] = await Promise.all([clientFor('default', 'configs:read'), clientFor('default', 'configs:write')])
  const { body: document } = await reader.ask(path(id, '/export'))
  isProblem(t, await reader.ask('/api/configs/import', { body: document }), 'forbidden')
  isProblem(t, await writer.ask(path(id, '/export')), 'forbidden')
  t.equal((await writer.ask('/api/configs/import', { body: document })).status, 201)
})

t.test('an import is made once for its key', async (t) => {
  const document = await exportOf(await changed())
  const headers = { 'idempotency-key': 'import' }
  const first = await client.ask<ConfigView>('/api/configs/import', { body: document, headers })
  await db.collection('idempotencyRecords').updateOne({ resourceId: first.body.id }, { $set: { answer: null } })
  await db.collection('configs').deleteOne({ _id: new ObjectId(first.body.id) })
  const second = await client.ask<ConfigView>('/api/configs/import', { body: document, headers })
  t.same(second.body, first.body, 'what a crash left behind is taken up')
  t.equal(second.headers.get('idempotency-replayed'), 'true')
  t.same(await numbersOf(first.body.id), [4, 3, 2, 1])
})

t.test('a document that is none of ours is refused with a word why', async (t) => {
  const document = await exportOf(await changed())
  const before = await contents(db)
  const [first, ...others] = document.versions
  const withFirst = (change: object) => ({ ...document, versions: [{ ...first, ...change }, ...others] })
  const cases: Array<[object, string, RegExp?]> = [
    [{ name: 'something else' }, '/format', /another kind/],
    [{ ...document, format: 'other.config' }, '/format', /another kind/],
    [{ ...document, format: null }, '/format'],
    [{ ...document, formatVersion: 2 }, '/formatVersion', /known here/],
    [{ ...document, formatVersion: '1' }, '/formatVersion'],
    [{ ...document, config: undefined }, '/config'],
    [{ ...document, config: { ...document.config, tone: { language: 'Elvish tongue' } } }, '/config/tone/language'],
    [{ ...document, secret: 1 }, '/secret'],
    [withFirst({ settings: { ...first!.settings, tone: { language: 'xx' } } }), '/versions/0/settings/tone/language'],
    [withFirst({ settings: {} }), '/versions/0/settings/purpose'],
    [withFirst({ createdAt: 'yesterday' }), '/versions/0/createdAt'],
    [withFirst({ createdAt: '2016-12-31T23:59:60Z' }), '/versions/0/createdAt', /between 1970 and now/],
    [withFirst({ createdAt: '1969-12-31T23:59:59Z' }), '/versions/0/createdAt'],
    [withFirst({ createdAt: '9999-12-31T23:59:59Z' }), '/versions/0/createdAt'],
    [{ ...document, versions: Array.from({ length: 1001 }, () => first) }, '/versions', /1000/]
  ]
  for (const [body, path, message = /./] of cases) {
    const refused = await importOf(body)
    isProblem(t, refused, 'validation_failed', path)
    t.match(refused.body, { errors: [{ path, message }] })
  }
  t.equal(await contents(db), before)
})

/** Adds versions to a configuration until it has `count`, each like its first one. */
async function grow (id: string, count: number): Promise<void> {
  const configId = new ObjectId(id)
  await patch(id, {})
  const { _id: _, ...first } = (await db.collection('configVersions').findOne({ configId }))!
  await db.collection('configs').updateOne({ _id: configId }, { $set: { version: count } })
  await db.collection('configVersions').insertMany(Array.from({ length: count - 2 }, (_, i) => ({ ...first, version: i + 2 })))
}

t.test('an export holds the newest thousand versions, and all of them go with their chatbot', async (t) => {
  const id = await client.createConfig()
  await grow(id, 1101)
  const { versions } = await exportOf(id)
  t.same([versions.length, versions[0]!.version, versions.at(-1)!.version], [1000, 102, 1101])
  t.equal((await ask(id, '', { method: 'DELETE' })).status, 204)
  await app.chat.purge()
  t.equal(await db.collection('configVersions').countDocuments({ configId: new ObjectId(id) }), 0)
})

t.test('an export is never larger than what can be imported', async (t) => {
  // Written as JSON, each of these takes six bytes.
  const id = await client.createConfig({ instructions: '\x01'.repeat(20_000) })
  await grow(id, 80)
  const exported = await (await client.fetch(path(id, '/export'))).text()
  const { versions } = JSON.parse(exported) as DocumentView
  t.ok(versions.length > 60 && versions.length < 80, `${versions.length} versions`)
  t.equal(versions.at(-1)!.version, 80, 'the newest ones')
  t.match(await importOf(exported), { status: 201, body: { version: versions.length } })
  isProblem(t, await importOf(`${exported}${' '.repeat(8 * 1024 * 1024 - exported.length + 1)}`), 'payload_too_large')
})
