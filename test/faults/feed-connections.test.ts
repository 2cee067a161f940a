import { once } from 'node:events'
import { type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { ObjectId } from 'mongodb'
import t from 'tap'
import { type Message as MessageView } from '../../schemas/message.ts'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { isProblem } from '../edge.ts'
import { FeedReader } from '../feeds.ts'
import { type Client, startApp, temporaryFolder } from '../helper.ts'

const feedOf = (session: string) => `/api/sessions/${session}/events`
const send = async (client: Client, session: string, message: string) =>
  (await client.ask<{ userMessage: MessageView }>(`/api/sessions/${session}/messages`, { body: { message } })).body
const patch = async (client: Client, session: string, body: object) =>
  await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body })

t.test('a reader that takes nothing costs nothing and is let go', async (t) => {
  const { app, client, db, adminKey } = await startApp(t, {}, { heartbeatMs: 100 })
  const session = await client.converse()
  const { userMessage } = await send(client, session, 'x')
  const common = (await db.collection('messages').findOne({ _id: new ObjectId(userMessage.id) }))!
  const content = 'x'.repeat(100_000)
  const many = Array.from({ length: 150 }, (_, i) => ({ ...common, _id: new ObjectId(), seq: i + 3, rev: i + 2, content }))
  await db.collection('messages').insertMany(many)
  await db.collection('sessions').updateOne({ _id: new ObjectId(session) }, { $set: { rev: 151, nextSeq: 153 } })
  const { hostname, port } = new URL(client.url)
  const asked = once(app.server, 'request') as Promise<[IncomingMessage, ServerResponse]>
  const socket = connect(Number(port), hostname)
  socket.write(`GET ${feedOf(session)}?cursor=${session}:0:0:end HTTP/1.1\r\nhost: x\r\nx-api-key: ${adminKey}\r\n\r\n`)
  const [request, response] = await asked
  await once(response, 'close')
  const { bytesWritten } = request.socket
  t.ok(bytesWritten > 100_000 && bytesWritten < 14_000_000, `it was not all written ahead: ${bytesWritten}`)
  socket.destroy()
})

t.test('a store that goes away ends its feeds, and they go on when it is back', async (t) => {
  const dataDir = await temporaryFolder(t)
  let store = await startEmbeddedStore({ dataDir })
  t.teardown(async () => await store.close())
  const { client } = await startApp(t, { MONGODB_URI: store.uri })
  const session = await client.converse()
  const reader = await FeedReader.open(t, client, feedOf(session))
  const tenant = await FeedReader.open(t, client, '/api/events')
  await send(client, session, 'one')
  const { id } = (await reader.untilEvent('message.completed')).at(-1)!
  await store.close()
  t.equal((await tenant.until(() => false)).at(-1)!.event, 'stream.reconnect')
  isProblem(t, await client.ask(feedOf(session), { headers: { 'last-event-id': id! } }), 'store_unavailable')
  store = await startEmbeddedStore({ dataDir })
  while ((await patch(client, session, { title: 'back' })).status !== 200) await setImmediate()
  t.match(await (await FeedReader.open(t, client, feedOf(session), id)).next(), { event: 'session.updated', data: { title: 'back' } })
})

t.test('feeds are bounded, and who has left makes room', async (t) => {
  const { client, app } = await startApp(t, {})
  const readers = await Promise.all(Array.from({ length: 50 }, async () => await FeedReader.open(t, client, '/api/events')))
  const refused = await client.ask('/api/events')
  isProblem(t, refused, 'overloaded')
  t.equal(refused.headers.get('retry-after'), '5')
  const session = await client.converse()
  const follower = await FeedReader.open(t, client, feedOf(session))
  await follower.next()
  for (const reader of [...readers, follower]) reader.leave()
  for (let status = 503; status !== 200;) {
    const { response } = await client.events('/api/events')
    status = response.status
    await response.body!.cancel()
  }
  let looks = 0
  app.mongo.client.on('commandStarted', ({ commandName, command }) => {
    if (commandName === 'hello' || JSON.stringify(command).includes(session)) looks++
  })
  // As long as it takes, a look would have been due.
  const started = performance.now()
  while (performance.now() - started < 700) await client.ask('/health')
  t.equal(looks, 0, 'nobody looks into the store any more')
})
