// The packed client before servers and proxies that say what Parley says on its worse days.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo } from 'node:net'
import { Parley, ParleyError, type Reconnection, type SessionFeedEvent } from '@parley/client'

function must (holds: boolean, what: string, value?: unknown): asserts holds {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(value)}`)
}

type Answer = (response: ServerResponse, request: IncomingMessage) => void

/** Answers one request after the other; the last answer is given for good. */
async function serving (answers: Answer[], work: (parley: Parley, lastEventIds: Array<string | undefined>) => Promise<void>, reconnection?: Reconnection): Promise<void> {
  const lastEventIds: Array<string | undefined> = []
  const server = createServer((request, response) => {
    lastEventIds.push(request.headers['last-event-id'] as string | undefined)
    const answer = answers.length > 1 ? answers.shift()! : answers[0]!
    answer(response, request)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await work(new Parley({ baseUrl, credential: 'key', reconnection: { attempts: 3, delayMs: 1, ...reconnection } }), lastEventIds)
  server.closeAllConnections()
  server.close()
}

const path = { id: '0'.repeat(24) }
const frame = (event: string, id: string, data: object = {}) => `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`
const begins: Answer = (response) => { response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders() }
/** Sends a text as events and leaves. */
const tells = (text: string): Answer => (response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text)
const refuses = (status: number, code: string, headers: Record<string, string> = {}): Answer => (response) => {
  response.writeHead(status, { 'content-type': 'application/problem+json', ...headers }).end(JSON.stringify({ code, detail: 'No.', status, retryable: true }))
}
const namesOf = async (events: AsyncIterable<SessionFeedEvent>) => (await Array.fromAsync(events)).map(({ event }) => event).join()
const failureOf = async (parley: Parley) => {
  const error: unknown = await parley.followSession({ path }).next().catch((error: unknown) => error)
  must(error instanceof ParleyError, 'no failure', String(error))
  return error
}

const last = frame('session.deleted', 'z')

await serving([tells(frame('feed.started', 'a') + frame('stream.reconnect', 'b') + frame('message.delta', 'never')), tells(last)], async (parley, ids) => {
  must(await namesOf(parley.followSession({ path })) === 'feed.started,session.deleted', 'asked to come back')
  must(ids.join() === ',b', 'behind what it has', ids)
})

await serving([tells(frame('feed.started', 'a') + frame('from.the.future', 'b')), tells(last)], async (parley, ids) => {
  must(await namesOf(parley.followSession({ path })) === 'feed.started,session.deleted', 'unknown events are passed over')
  must(ids.join() === ',b', 'and not asked for again', ids)
})

await serving([tells(frame('feed.started', 'a') + last.slice(0, -8)), tells(last)], async (parley, ids) => {
  must(await namesOf(parley.followSession({ path, lastEventId: '0' })) === 'feed.started,session.deleted', 'half an event is none')
  must(ids.join() === '0,a', 'it is asked for again', ids)
})

// Without what the server says, it would come back in a day.
await serving([tells(`retry: 1\n\n${frame('feed.started', 'a')}`), tells(last)], async (parley) => {
  must(await namesOf(parley.followSession({ path })) === 'feed.started,session.deleted', 'as soon as it says')
}, { delayMs: 86_400_000, maxDelayMs: 86_400_000 })

await serving([begins, tells(last)], async (parley) => {
  must(await namesOf(parley.followSession({ path })) === 'session.deleted', 'a silent connection is left')
}, { idleMs: 50 })

const proxy: Answer = (response) => response.writeHead(502, { 'content-type': 'text/html' }).end('<p>Bad gateway')
await serving([refuses(503, 'overloaded', { 'retry-after': '0' }), proxy, refuses(429, 'rate_limited', { 'retry-after': new Date(0).toUTCString() }), tells(last)], async (parley) => {
  must(await namesOf(parley.followSession({ path })) === 'session.deleted', 'what may pass is tried again')
})

await serving([proxy], async (parley, ids) => {
  const failure = await failureOf(parley)
  must(failure.code === 'http_502' && failure.retryable && failure.body === '<p>Bad gateway', 'what a proxy says', failure)
  must(ids.length === 4, 'three more attempts', ids)
})

for (const [answer, code, retryAfter] of [
  [refuses(503, 'overloaded', { 'retry-after': '3600' }), 'overloaded', 3600],
  [refuses(429, 'rate_limited', { 'retry-after': 'soon' }), 'rate_limited', undefined],
  [refuses(409, 'session_busy'), 'session_busy', undefined],
  [refuses(500, 'internal'), 'internal', undefined]
] as const) {
  await serving([answer], async (parley, ids) => {
    const failure = await failureOf(parley)
    must(failure.code === code && failure.retryAfter === retryAfter, 'another failure', failure)
    must(ids.length === (code === 'rate_limited' ? 4 : 1), 'what will not pass soon is not tried again', { code, ids })
  })
}

// A signal ends the wait between two attempts, too.
await serving([refuses(503, 'overloaded')], async (parley) => {
  const error: unknown = await parley.followSession({ path, signal: AbortSignal.timeout(100) }).next().catch((error: unknown) => error)
  must(error instanceof DOMException && error.name === 'TimeoutError', 'not ended', String(error))
}, { delayMs: 86_400_000, maxDelayMs: 86_400_000 })
await serving([refuses(503, 'overloaded')], async (parley, ids) => {
  const error: unknown = await parley.followSession({ path, signal: AbortSignal.abort(new Error('no')) }).next().catch((error: unknown) => error)
  must(error instanceof Error && error.message === 'no' && ids.length === 0, 'not ended before it began', { error: String(error), ids })
})
