import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { allOf, Client, readEvents, type SentEvent } from '../helper.ts'
import { freePort } from '../free-port.ts'
import { checkLedger } from '../ledger.ts'
import { startNginx, withoutNginx } from '../nginx.ts'
import { history, modelAt, replicaEnv, textOf, type MessageView } from '../replicas.ts'
import { ServerProcess } from '../server-process.ts'
import { startTestSim, StepClock } from '../sim.ts'
import { type SimOptions } from '../../src/mistral-sim/index.ts'

t.setTimeout(240_000)

const words = 'one two three four five six seven eight nine ten '.repeat(8)

/** Three replicas on one store behind nginx, as it is shipped. */
async function startCluster (t: Test, simOptions: SimOptions) {
  const sim = await startTestSim(t, simOptions)
  const { key, uri, database, env } = await replicaEnv(t, { ...modelAt(sim.url), TRUST_PROXY: 'loopback', STREAM_FLUSH_MS: '50' })
  const ports = [await freePort(), await freePort(), await freePort()]
  const start = (port: number) => new ServerProcess(t, { ...env, PORT: String(port) })
  const replicas = ports.map(start)
  const nginx = await startNginx(t, ports)
  await Promise.all(replicas.map(async (replica) => await replica.serving()))
  return { client: new Client(nginx.url, { 'x-api-key': key }), ports, replicas, start, nginx, ledger: async () => await checkLedger(uri, database, { deterministic: true }) }
}

t.test('behind nginx, events come as they are made, and a reader goes on at any replica', { skip: withoutNginx }, async (t) => {
  const clock = new StepClock()
  const { client, nginx, ports, replicas } = await startCluster(t, { clock, cadence: { chunkDelayMs: 20 } })

  const document = await client.fetch('/openapi.json', { headers: { 'accept-encoding': 'gzip' } })
  t.equal(document.headers.get('content-encoding'), 'gzip', 'compressed by Parley, once')
  t.match(await document.json(), { openapi: '3.1.0' })

  const session = await client.converse()
  const path = `/api/sessions/${session}/messages`
  const { response, events } = await client.events(path, { body: { message: 'How are you today, and what will you do tomorrow?' } })
  t.equal(response.status, 200)
  const reader = events[Symbol.asyncIterator]()
  const started = (await reader.next()).value as SentEvent
  const { id } = started.data['botMessage'] as MessageView
  // Nothing is made before the clock goes on: what was held back would hold this up for ever.
  const read: SentEvent[] = []
  while (read.length < 3) {
    await clock.step()
    read.push((await reader.next()).value as SentEvent)
  }
  t.equal(read[0]!.event, 'message.delta')
  await reader.return?.(undefined)

  // One after the other, nginx asks all three.
  const own = `${path}/${id}/stream`
  const upstreams = async (asked: string) => (await nginx.log()).filter(({ path }) => path === asked).map(({ upstream }) => upstream!)
  const follow = async (lastId: string) => (await client.events(own, { headers: { 'last-event-id': lastId } })).events
  const followers = await Promise.all(ports.map(async () => await follow(read.at(-1)!.id!)))
  let moved = 0
  const readRest = async (events: AsyncIterable<SentEvent>): Promise<SentEvent[]> => {
    const seen = await allOf(events)
    if (seen.at(-1)!.event !== 'stream.reconnect') return seen
    moved++
    const lastId = seen.findLast((event) => event.id !== undefined)?.id ?? read.at(-1)!.id!
    return [...seen.slice(0, -1), ...await readRest(await follow(lastId))]
  }
  const rests = followers.map(readRest)

  // The first line of a reader that left is there when its connection has been closed.
  let writers: string[] = []
  while (writers.length === 0) writers = await upstreams(path)
  const leaving = ports.findIndex((port) => !writers[0]!.endsWith(`:${port}`))
  t.match(await replicas[leaving]!.end(), { code: 0, stderr: '' })
  clock.run()
  const seen = textOf(read)
  for (const rest of await Promise.all(rests)) {
    t.equal(rest.at(-1)!.event, 'message.completed')
    t.equal(seen + textOf(rest, seen.length), (rest.at(-1)!.data['botMessage'] as MessageView).content)
  }
  // More often, when it was sent to the one that leaves again.
  t.ok(moved > 0, 'the reader at the replica that left went on at another')
  while (new Set(await upstreams(own)).size < 3) await delay(5)

  const named = await client.ask('/health', { headers: { 'x-request-id': 'my-own_id.1' } })
  t.equal(named.headers.get('x-request-id'), 'my-own_id.1')
  const harmful = await client.ask('/health', { headers: { 'x-request-id': '"},{"x":"' } })
  t.match(harmful.headers.get('x-request-id'), /^[0-9a-f]{32}$/, 'an id that cannot be taken is made anew, the same in both logs')
  t.equal((await client.fetch('/metrics')).status, 404, 'metrics are for those inside')
  const big = await client.ask(path, { body: { message: 'x'.repeat(2_000_000) } })
  t.match([big.status, big.headers.get('content-type')], [413, /^application\/problem\+json/], 'what is too big is refused by Parley')

  await client.ask('/api/keys', { body: { name: 'k', scopes: ['chat'] }, headers: { 'x-forwarded-for': '203.0.113.9' } })
  const { body: audit } = await client.ask<{ data: Array<{ action: string, ip: string }> }>('/api/audit')
  t.strictSame(audit.data.filter(({ action }) => action === 'key.created').map(({ ip }) => ip), ['127.0.0.1'], 'nobody says himself where he comes from')

  await Promise.all(replicas.map(async (replica) => await replica.end('SIGKILL')))
  const away = await client.ask('/api/configs?x="y"')
  t.match(away, { status: 503, body: { code: 'overloaded', retryable: true, instance: '/api/configs', requestId: away.headers.get('x-request-id') } })
  t.equal(away.headers.get('retry-after'), '1')
})

t.test('three replicas are restarted in turn under load, and no request fails', { skip: withoutNginx }, async (t) => {
  const { client, ports, replicas, start, nginx, ledger } = await startCluster(t, { cadence: { chunkDelayMs: 40 } })
  const configId = await client.createConfig()
  const counts = { sends: 0, streams: 0, reads: 0, reconnects: 0, restarts: 0 }
  const failures: string[] = []
  const over = new AbortController()

  /** One request, never repeated by this side. */
  async function ask<T> (path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T | undefined> {
    const answer = await client.ask<T>(path, { body, headers }).catch((error: unknown) => {
      failures.push(`${path}: ${String((error as Error).cause ?? error)}`)
      return undefined
    })
    if (answer && answer.status >= 300) failures.push(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer?.body
  }

  async function stream (path: string, options: Parameters<Client['fetch']>[1]): Promise<AsyncIterable<SentEvent>> {
    const response = await client.fetch(path, { ...options, headers: { accept: 'text/event-stream', ...options?.headers } })
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
    return readEvents(response)
  }

  /** Reads a reply to its end, wherever the reader is sent meanwhile. */
  async function readWhole (path: string, events: AsyncIterable<SentEvent>): Promise<{ text: string, last: SentEvent | undefined }> {
    let [text, lastId] = ['', '']
    for (;;) {
      let last: SentEvent | undefined
      for await (const event of events) {
        if (event.event === 'message.delta') text += event.data['delta'] as string
        if (event.id !== undefined) lastId = event.id
        last = event
      }
      if (last?.event !== 'stream.reconnect') return { text, last }
      counts.reconnects++
      events = await stream(path, { headers: lastId === '' ? {} : { 'last-event-id': lastId } })
    }
  }

  const worker = async (name: string, turn: (path: string, key: string) => Promise<void>) => {
    const session = await ask<{ id: string }>('/api/sessions', { configId }, { 'idempotency-key': `session-${name}` })
    let turns = 0
    for (; !over.signal.aborted; turns++) await turn(`/api/sessions/${session!.id}/messages`, `${name}-${turns}`)
    const messages = await history({ client }, session!.id)
    t.equal(new Set(messages.map(({ seq }) => seq)).size, messages.length)
    return turns
  }
  const sends = async (path: string, key: string) => {
    await ask(path, { message: `Tell me of ${key}.` }, { 'idempotency-key': key })
    counts.sends++
  }
  // Two readers of each reply, of whom the second is often at another replica.
  const streams = async (path: string, key: string) => {
    try {
      const events = await stream(path, { body: { message: `${key} ${words}` }, headers: { 'idempotency-key': key } })
      const iterator = events[Symbol.asyncIterator]()
      const { id } = ((await iterator.next()).value as SentEvent).data['botMessage'] as MessageView
      const own = `${path}/${id}/stream`
      for (const { text, last } of await Promise.all([
        readWhole(own, { [Symbol.asyncIterator]: () => iterator }),
        stream(own, {}).then(async (events) => await readWhole(own, events))
      ])) {
        if (last?.event !== 'message.completed') failures.push(`the stream of ${key} ended with ${JSON.stringify(last)}`)
        else if ((last.data['botMessage'] as MessageView).content !== text) failures.push(`the stream of ${key} has a gap`)
      }
    } catch (error) {
      failures.push(`the stream of ${key}: ${String((error as Error).cause ?? error)}`)
    }
    counts.streams++
  }
  const reads = async (path: string) => {
    await ask(path)
    counts.reads++
    await delay(20)
  }

  const load = Promise.all([worker('a', sends), worker('b', sends), worker('c', streams), worker('d', streams), worker('e', reads), worker('f', reads)])
  load.catch(() => {})
  for (const [i, port] of ports.entries()) {
    const { code, stderr } = await replicas[i]!.end()
    t.strictSame([code, stderr], [0, ''])
    replicas[i] = start(port)
    await replicas[i].serving()
    counts.restarts++
  }
  over.abort()
  await load
  const log = await nginx.log()
  t.comment(JSON.stringify({ ...counts, asked: log.length, askedTwice: log.filter(({ upstream }) => upstream!.includes(',')).length }))
  t.strictSame(failures, [])
  t.ok(counts.sends > 3 && counts.streams > 3 && counts.reads > 3, 'there was load')
  await Promise.all(replicas.map(async (replica) => await replica.end()))
  t.strictSame(await ledger(), [])
})
