// A conversation by the packed client, as its users would have it.
import { each, Parley, ParleyError, type Message, type SessionFeedEvent } from '@parley/client'

const { PARLEY_URL: baseUrl, PARLEY_KEY: credential } = process.env as { PARLEY_URL: string, PARLEY_KEY: string }

function must (holds: boolean, what: string, value?: unknown): asserts holds {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(value)}`)
}

const failure = async (work: Promise<unknown>): Promise<ParleyError> => {
  const error: unknown = await work.then(() => undefined, (error: unknown) => error)
  must(error instanceof ParleyError, 'not an error of the client', error)
  return error
}

// What a token may be: asked for anew with each request.
let asked = 0
const parley = new Parley({ baseUrl: `${baseUrl}/`, credential: async () => { asked += 1; return credential } })

const config = await parley.createConfig({
  body: { purpose: 'Answer questions about orders.', titles: false, summaries: false },
  headers: { 'idempotency-key': 'configuration-1' }
})
must(config.version === 1, 'no configuration', config)
const again = await parley.createConfig({
  body: { purpose: 'Answer questions about orders.', titles: false, summaries: false },
  headers: { 'idempotency-key': 'configuration-1' }
})
must(again.id === config.id, 'a repeat with its key makes nothing', again)

const sessions = await Promise.all([1, 2, 3, 4, 5].map(async (n) =>
  (await parley.createSession({ body: { configId: config.id, title: `Order ${n}` } })).id))
const listed: string[] = []
for await (const session of each((cursor) => parley.listSessions({ query: { configId: config.id, limit: 2, cursor } }))) listed.push(session.id)
must(listed.length === 5 && sessions.every((id) => listed.includes(id)), 'not all of them on three pages', listed)

const path = { id: sessions[0]! }
const { reply, botMessage } = await parley.sendMessage({ path, body: { message: 'When will it arrive?' } })
must(reply.startsWith('sim:') && botMessage.status === 'completed', 'no reply', botMessage)

// A feed, followed beside a reply: both tell the same.
const leaving = new AbortController()
const told: SessionFeedEvent[] = []
const [begun, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
const feed = (async () => {
  for await (const event of parley.followSession({ path, signal: leaving.signal })) {
    told.push(event)
    if (event.event === 'feed.started') begun.resolve()
    if (event.event === 'message.completed') over.resolve()
  }
})()
await begun.promise

let text = ''
let end: Message | undefined
for await (const event of parley.sendMessageStreamed({ path, body: { message: 'And returns?' } })) {
  if (event.event === 'message.started') must(event.data.userMessage.content === 'And returns?', 'not what was said', event)
  else if (event.event === 'message.delta') text += event.data.delta
  else end = event.data.botMessage
}
must(end?.status === 'completed' && end.content === text && text !== '', 'not the whole reply', { end, text })
await over.promise
leaving.abort(new Error('enough'))
const reason: unknown = await feed.catch((error: unknown) => error)
must(reason instanceof Error && reason.message === 'enough', 'not ended by the signal', reason)
const heard = told.flatMap((event) => event.event === 'message.delta' ? [event.data.delta] : []).join('')
must(heard === text, 'the feed tells something else', heard)

for await (const event of parley.regenerateMessageStreamed({ path: { ...path, messageId: end.id } })) {
  if (event.event === 'message.completed') must(event.data.botMessage.id !== end.id, 'the same reply', event)
}
for await (const { event, data } of parley.followTenant({ query: { configId: config.id, types: ['session.updated'] } })) {
  if (event === 'feed.started') await parley.patchSession({ path, body: { title: 'Returns' } })
  if (event !== 'session.updated') continue
  must(data.title === 'Returns', 'not what was set', data)
  break
}

const lines = await parley.exportAll({ query: { configId: config.id } })
must(lines.trimEnd().split('\n').every((line) => JSON.parse(line) !== null), 'no lines', lines)
const { skipped } = await parley.importAll({ body: lines })
must(skipped.sessions === 5, 'sessions that are there are not passed over', skipped)

const notFound = await failure(parley.getSession({ path: { id: '0'.repeat(24) } }))
must(notFound.code === 'not_found' && notFound.status === 404 && !notFound.retryable, 'not a failure that one can read', notFound)
must(notFound.problem !== undefined && notFound.problem.requestId !== '', 'no problem document', notFound)
const invalid = await failure(parley.createConfig({ body: { purpose: '' } }))
must(invalid.code === 'validation_failed' && invalid.problem?.errors?.[0]?.path === '/purpose', 'not what is wrong', invalid.problem)
const stranger = new Parley({ baseUrl, credential: 'pk_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' })
must((await failure(stranger.followSession({ path }).next())).code === 'unauthenticated', 'a stream fails as requests do')
must((await failure(new Parley({ baseUrl: 'http://127.0.0.1:9', credential }).listConfigs())).code === 'connection_failed', 'nobody there')
must(asked > 10, 'the credential is not asked for', asked)
