import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { MongoNetworkError, ObjectId } from 'mongodb'
import t from 'tap'
import { isProblem, nobody } from '../edge.ts'
import { startApp, storeUri, type Client } from '../helper.ts'
import { said, signers } from '../integrations/signers.ts'
import { checkLedger } from '../ledger.ts'
import { content, countsOf, exported, imports, linesOf, none, populate, send, type Line } from '../transfers.ts'
import { listen } from '../webhooks/told.ts'

const here = await startApp(t)

t.test('what is exported is imported elsewhere to an equal export', async (t) => {
  const { client, rich, cleared } = await populate(here, 'exporting')
  const response = await client.fetch('/api/export')
  t.match(response.headers.get('content-type'), 'application/x-ndjson')
  t.match(response.headers.get('content-disposition'), 'attachment')
  const file = await response.text()
  const lines = linesOf(file)
  t.match(lines[0], { type: 'export', format: 'parley', formatVersion: 1 })
  t.match(lines.at(-1), { type: 'end', counts: { configs: 1, sessions: 3 } })
  const ofType = (type: string) => lines.filter((line) => line.type === type)
  t.equal(ofType('configVersion').length, 1)
  t.match(ofType('session').find(({ id }) => id === rich), { metadata: { order: { id: 17 } }, configVersion: 1, branches: [{}, {}] })
  t.ok(ofType('message').some(({ status, content }) => status === 'deleted' && content === ''))
  t.ok(ofType('message').some((message) => message['feedback'] !== undefined))
  t.notMatch(file, /Forget this|exporting/, 'neither what was cleared nor the tenant is in it')
  t.equal(content(await exported(client)), content(file), 'it is the same each time')

  const there = await startApp(t)
  const counts = countsOf(file)
  t.strictSame((await imports(there.client, file)).body, { imported: counts, skipped: none })
  t.equal(content(await exported(there.client)), content(file), 'and it comes out as it went in')
  t.strictSame((await imports(there.client, file)).body, { imported: none, skipped: counts }, 'a second time, nothing is added')
  t.strictSame(await checkLedger(await storeUri(), there.db.databaseName), [])
  for (const path of [`/api/sessions/${rich}`, `/api/sessions/${rich}/messages`, `/api/sessions/${rich}/branches`, `/api/sessions/${cleared}/messages`, '/api/feedback']) {
    t.strictSame((await there.client.ask(path)).body, (await client.ask(path)).body, path)
  }
  t.strictSame((await there.client.ask('/api/messages/search?q=parcel')).body['data'] instanceof Array, true)
  t.equal((await there.client.ask(`/api/sessions/${rich}/messages`, { body: { message: 'And now?' } })).status, 200, 'it goes on there')
  t.strictSame(await checkLedger(await storeUri(), there.db.databaseName), [])
})

t.test('who writes from elsewhere is still known as that, and told of', async (t) => {
  const client = await here.clientFor('integrated', 'admin')
  const configId = await client.createConfig()
  const { body: { url, secret, id } } = await client.ask<{ url: string, secret: string, id: string }>('/api/integrations', { body: { name: 'Help desk', configId } })
  const { headers, body } = signers['standard']!(secret, said('Where is my parcel?', { externalMessageId: 'm-17' }))
  const { body: { sessionId } } = await client.with({}).ask<{ sessionId: string }>(`${url}?wait=true`, { method: 'POST', headers, body })
  const file = await exported(client)
  const external = { integrationId: id, userId: 'customer-17' }
  t.match(linesOf(file).filter(({ external }) => external), [{ type: 'session', external }, { type: 'message', role: 'bot', external: { ...external, messageId: 'm-17' } }])

  const there = await startApp(t)
  t.match(await imports(there.client, file), { status: 200 })
  t.equal(content(await exported(there.client)), content(file))
  t.match((await there.client.ask(`/api/sessions/${sessionId}`)).body, { channel: 'helpdesk', external })
  const listener = await listen(there, ['message.completed'])
  await send(there.client, sessionId, 'It is on its way.')
  t.match(await listener.next(), [{ body: { data: { externalUserId: 'customer-17', integrationId: id } } }])
})

t.test('a file that does not fit is refused with the number of its line, and what came before stays', async (t) => {
  const { client } = await populate(here, 'refused')
  const file = await exported(client)
  const lines = file.trimEnd().split('\n')
  const number = lines.findIndex((line) => line.includes('"type":"message"')) + 2
  const changed = (change: (line: Line) => unknown, at = number) =>
    [...lines.slice(0, at - 1), JSON.stringify(change(JSON.parse(lines[at - 1]!) as Line)), ...lines.slice(at)].join('\n')
  const session = lines.findIndex((line) => line.includes('"type":"session"')) + 1
  const cases: Record<string, [string, number]> = {
    'a session without its chatbot': [changed((line) => ({ ...line, configId: nobody }), session), session],
    'not JSON': [[...lines.slice(0, number - 1), '{', ...lines.slice(number)].join('\n'), number],
    'no object': [[...lines.slice(0, number - 1), '[1]', ...lines.slice(number)].join('\n'), number],
    'an unknown type': [changed((line) => ({ ...line, type: 'x' })), number],
    'an unknown member': [changed((line) => ({ ...line, tenantId: 'other' })), number],
    'a wrong value': [changed((line) => ({ ...line, seq: '1' })), number],
    'a text with NUL': [changed((line) => ({ ...line, content: 'a\0b' })), number],
    'another session': [changed((line) => ({ ...line, sessionId: nobody })), number],
    'beyond its session': [changed((line) => ({ ...line, seq: 1000 })), number],
    'too deep': [changed((line) => ({ ...line, metadata: JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`) as unknown })), number],
    'a session that is cleared beyond its end': [changed((line) => ({ ...line, clearedSeq: 1000 }), session), session],
    'a language that is none': [changed((line) => ({ ...line, settings: { ...line['settings'] as object, tone: { language: 'qqqqqqqqq1' } } }), 2), 2],
    'a version of another chatbot': [changed((line) => ({ ...line, configId: nobody }), 3), 3],
    'no beginning': [lines.slice(1).join('\n'), 1],
    'two beginnings': [[lines[0], ...lines].join('\n'), 2],
    'another format': [changed((line) => ({ ...line, formatVersion: 2 }), 1), 1],
    'no end': [lines.slice(0, -1).join('\n'), lines.length],
    'more behind the end': [[...lines, lines.at(-1)].join('\n'), lines.length + 1],
    'other counts': [changed((line) => ({ ...line, counts: { configs: 9, sessions: 9, messages: 9 } }), lines.length), lines.length],
    nothing: ['', 1]
  }
  const there = await startApp(t)
  for (const [label, [body, line]] of Object.entries(cases)) {
    const answer = await imports(there.client, body)
    isProblem(t, answer, 'validation_failed', label)
    t.match((answer.body as unknown as { errors: Array<{ path: string }> }).errors[0]!.path, new RegExp(`^/${line}(/|$)`), label)
  }
  t.match((await imports(there.client, file)).body.skipped, { configs: 1 }, 'what came before stays')
  t.equal(content(await exported(there.client)), content(file), 'and the whole can be sent again')
  t.strictSame(await checkLedger(await storeUri(), there.db.databaseName), [])
})

t.test('an id that is taken is a conflict, of which nothing more is said', async (t) => {
  const { client, rich } = await populate(here, 'owner')
  const file = await exported(client)
  const stranger = await here.clientFor('thief', 'admin')
  const answer = await imports(stranger, file)
  isProblem(t, answer, 'conflict')
  t.notMatch(JSON.stringify(answer.body), /owner|Desk|anna/)
  t.match(linesOf(await exported(stranger)).at(-1), { counts: { configs: 0, sessions: 0, messages: 0 } })

  const lines = file.trimEnd().split('\n')
  const without = (type: string) => lines.filter((line) => !line.includes(`"type":"${type}"`)).join('\n')
  const config = await stranger.createConfig()
  const ofOwn = (text: string) => text.replaceAll(/"configId":"[0-9a-f]{24}"/g, `"configId":"${config}"`).replaceAll(/"configVersion":\d+/g, '"configVersion":null')
  isProblem(t, await imports(stranger, ofOwn(without('config').replaceAll(/.*"configVersion",.*\n/g, ''))), 'conflict', 'a session')
  const fresh = await stranger.createSession(config)
  const message = lines.find((line) => line.includes('"type":"message"'))!.replaceAll(rich, fresh)
  const session = (await exported(stranger)).split('\n').find((line) => line.includes('"type":"session"'))!.replace('"nextSeq":1', '"nextSeq":9')
  const one = [lines[0], session, message].join('\n')
  const another = one.replace(/"id":"[0-9a-f]{24}","sessionId"/, `"id":"${nobody}","sessionId"`)
  isProblem(t, await imports(stranger, one), 'conflict', 'a message of another session')
  isProblem(t, await imports(stranger, another), 'validation_failed', 'a message beyond what the session has here is left out')
  t.equal((await stranger.ask<{ data: unknown[] }>(`/api/sessions/${fresh}/messages`)).body.data.length, 0)
  await send(stranger, fresh, 'Hello')
  isProblem(t, await imports(stranger, another), 'conflict', 'a number that is taken')
  await client.ask(`/api/sessions/${rich}`, { method: 'DELETE' })
  t.match((await imports(client, file)).status, /200|409/, 'what is being removed is not there, or not yet away')
  t.strictSame(await checkLedger(await storeUri(), here.db.databaseName), [])
})

t.test('an import takes lines only, and bytes that are text', async (t) => {
  const { client } = here
  isProblem(t, await client.ask('/api/import', { body: { type: 'export' } }), 'unsupported_media_type')
  isProblem(t, await client.ask('/api/import', { method: 'POST' }), 'validation_failed')
  const raw = async (body: Buffer) => {
    const response = await fetch(`${client.url}/api/import`, {
      method: 'POST', body: new Uint8Array(body), headers: { 'content-type': 'application/x-ndjson', 'x-api-key': here.adminKey }
    })
    return { status: response.status, headers: response.headers, body: await response.json() as Record<string, unknown> }
  }
  isProblem(t, await raw(Buffer.from([0x22, 0xff, 0x22, 0x0a])), 'validation_failed', 'no UTF-8')
  const long = await raw(Buffer.alloc(8 * 1024 * 1024 + 1, 0x20))
  isProblem(t, long, 'validation_failed', 'a line that is too long')
  t.equal(long.headers.get('connection'), 'close')
})

/** What comes back on a raw connection, until the server closes it. */
async function upload (app: { client: Client, adminKey: string }, path: string, type: string, pieces: string[], everyMs: number): Promise<string> {
  const { hostname, port } = new URL(app.client.url)
  const socket = connect(Number(port), hostname)
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\nx-api-key: ${app.adminKey}\r\nconnection: close\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`)
  const timer = setInterval(() => {
    const piece = pieces.shift()
    if (piece !== undefined) socket.write(`${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n${pieces.length === 0 ? '0\r\n\r\n' : ''}`)
  }, everyMs)
  return await text(socket).finally(() => clearInterval(timer))
}

t.test('a body has a time to arrive, except one that is read as it comes', async (t) => {
  const app = await startApp(t, {}, { bodyMs: 500 })
  const header = '{"type":"export","format":"parley","formatVersion":1,"exportedAt":"2026-01-01T00:00:00.000Z"}\n'
  const end = '{"type":"end","counts":{"configs":0,"sessions":0,"messages":0}}\n'
  t.match(await upload(app, '/api/import', 'application/x-ndjson', [header, '\n', '\n', '\n', end], 150), /^HTTP\/1.1 200 /)
  t.match(await upload(app, '/api/configs', 'application/json', ['{"purpose":', '"x"', ' ', ' ', ' ', '}'], 150), /^HTTP\/1.1 408 /)
  t.match(await upload(app, '/api/configs', 'application/json', ['{"purpose":"x"}'], 1), /^HTTP\/1.1 201 /)
})

t.test('who was refused before the body had come is not waited for', async (t) => {
  const app = await startApp(t, {}, { bodyMs: 500 })
  const late = new Set()
  app.app.server.on('clientError', ({ code }: NodeJS.ErrnoException, socket) => {
    if (code === 'ERR_HTTP_REQUEST_TIMEOUT') late.add(socket)
  })
  isProblem(t, await app.client.ask('/api/configs', { body: ' '.repeat(10_000_000) }), 'payload_too_large')
  t.match(await upload(app, '/api/configs', 'application/json', ['{', ' ', ' ', ' ', ' ', '}'], 150), /^HTTP\/1.1 408 /)
  t.equal(late.size, 1, 'the time of the first would have been up before')
})

t.test('more sessions and messages than are read or written at once', async (t) => {
  const { client, db } = await startApp(t)
  const configId = new ObjectId(await client.createConfig())
  const now = new Date()
  const common = { tenantId: 'default', configId, userId: null, channel: null }
  const sessions = Array.from({ length: 104 }, (_, i) => ({ _id: new ObjectId(), size: i === 0 ? 620 : i % 3 }))
  await db.collection('sessions').insertMany(sessions.map(({ _id, size }) => ({
    _id, ...common, configVersion: null, title: null, metadata: {}, status: 'active', startedAt: now, lastActivity: now, nextSeq: size + 1, rev: size, turn: null
  })))
  await db.collection('messages').insertMany(sessions.flatMap(({ _id, size }) => Array.from({ length: size }, (_, i) => ({
    ...common, sessionId: _id, seq: i + 1, rev: i + 1, parentId: null, role: 'user', content: 'said', timestamp: now, status: 'completed'
  }))))
  const file = await exported(client)
  const counts = countsOf(file)
  t.match(counts, { sessions: 104, messages: await db.collection('messages').countDocuments() })
  const there = await startApp(t)
  t.strictSame((await imports(there.client, file)).body, { imported: counts, skipped: none })
  t.equal(content(await exported(there.client)), content(file))
  // What was lost in between comes back, and nothing twice.
  await there.db.collection('messages').deleteMany({ seq: { $gt: 300 } })
  t.strictSame((await imports(there.client, file)).body, {
    imported: { ...none, messages: 320 }, skipped: { ...counts, messages: counts.messages - 320 }
  })
  t.equal(content(await exported(there.client)), content(file))
})

t.test('what is deleted while it is imported leaves nothing behind', async (t) => {
  const { client, config } = await populate(here, 'deleting')
  const file = await exported(client)
  const { app, client: there, db } = await startApp(t)
  const { transfers } = app.store
  const [insertSessions, insertMessages] = [transfers.insertSessions.bind(transfers), transfers.insertMessages.bind(transfers)]
  // The moments that matter lie between two commands, so they are made here.
  transfers.insertSessions = async (sessions) => {
    await there.ask(`/api/configs/${config}`, { method: 'DELETE' })
    return await insertSessions(sessions)
  }
  isProblem(t, await imports(there, file), 'conflict', 'its chatbot')
  await app.chat.purge()
  t.equal(await db.collection('sessions').countDocuments(), 0)
  transfers.insertSessions = insertSessions
  transfers.insertMessages = async (messages) => {
    await there.ask(`/api/sessions/${messages[0]!.sessionId}`, { method: 'DELETE' })
    await app.chat.purge()
    return await insertMessages(messages)
  }
  isProblem(t, await imports(there, file), 'conflict', 'its session')
  t.equal(await db.collection('messages').countDocuments(), 0)
  transfers.insertMessages = async () => { throw new MongoNetworkError('gone') }
  isProblem(t, await imports(there, file), 'store_unavailable')
})

t.test('what is in a file twice is a conflict', async (t) => {
  const { client } = await populate(here, 'twice')
  const lines = (await exported(client)).trimEnd().split('\n')
  const { client: there } = await startApp(t)
  for (const type of ['session', 'message']) {
    const at = lines.findIndex((line) => line.includes(`"type":"${type}"`))
    isProblem(t, await imports(there, [...lines.slice(0, at + 1), ...lines.slice(at)].join('\n')), 'conflict', type)
  }
})
