import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Agent, fetch } from 'undici'
import { newApiKey } from '../../src/auth/api-key.ts'
import { readEvents, temporaryFolder, type SentEvent } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { modelAt, replicaEnv } from '../replicas.ts'
import { ServerProcess } from '../server-process.ts'
import { startTestSim } from '../sim.ts'

const RESTARTS = 50
t.setTimeout(420_000)

interface MessageView { id: string, seq: number, content: string, status: string }
interface Request { method?: string, body?: unknown, headers?: Record<string, string> }
type Reply = Awaited<ReturnType<typeof fetch>>

class Replica {
  readonly process: ServerProcess
  url: string | undefined

  constructor (test: Test, env: Record<string, string>) {
    this.process = new ServerProcess(test, env)
  }

  async start (): Promise<this> {
    this.url = await this.process.serving()
    return this
  }
}

/** A load balancer and the clients behind it: asks who is ready, and repeats what was refused, never what was accepted. */
class Balancer {
  readonly replicas = new Set<Replica>()
  readonly dropped: string[] = []
  answered = 0
  repeated = 0
  readonly #ready = new Set<Replica>()
  readonly #key: string
  // Shorter than the server keeps idle connections: who wants to use one must know that it is still open.
  readonly #agent = new Agent({ keepAliveTimeout: 400, keepAliveMaxTimeout: 400 })

  constructor (key: string) {
    this.#key = key
  }

  /** Looks at /health/ready of every replica until told to stop. */
  async watch (signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await Promise.all([...this.replicas].map(async (replica) => {
        const ok = await fetch(`${replica.url}/health/ready`, { dispatcher: this.#agent }).then(async (answer) => {
          await answer.text()
          return answer.ok
        }, () => false)
        if (ok) this.#ready.add(replica)
        else this.#ready.delete(replica)
      }))
      await delay(50)
    }
    await this.#agent.close()
  }

  /** Sends a request to whoever is ready until it is accepted; what fails after that was dropped. */
  async send (path: string, request: Request = {}): Promise<Reply> {
    for (;;) {
      const ready = [...this.#ready].filter((replica) => this.replicas.has(replica))
      const replica = ready[Math.floor(Math.random() * ready.length)]
      const answer = replica && await this.#try(replica.url + path, request)
      if (answer && answer.status !== 503) {
        this.answered++
        return answer
      }
      await answer?.text()
      this.repeated++
      await delay(20)
    }
  }

  async json<T> (path: string, request?: Request): Promise<T> {
    const answer = await this.send(path, request)
    const body = await answer.json() as T
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${JSON.stringify(body)}`)
    return body
  }

  async events (path: string, request?: Request): Promise<AsyncIterable<SentEvent>> {
    const answer = await this.send(path, request)
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return readEvents(answer)
  }

  /** Undefined: refused. */
  async #try (url: string, { method, body, headers }: Request): Promise<Reply | undefined> {
    try {
      return await fetch(url, {
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        headers: { 'x-api-key': this.#key, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        dispatcher: this.#agent
      })
    } catch (error) {
      const { cause } = error as { cause?: Error & { code?: string } }
      if (cause?.code !== 'ECONNREFUSED') this.dropped.push(`${method ?? ''} ${url}: ${String(cause)}`)
      return undefined
    }
  }
}

const words = 'one two three four five six seven eight nine ten '

/** Reads a message to its end, wherever the reader is sent meanwhile, and puts its text together. */
async function readWhole (balancer: Balancer, path: string, stream: AsyncIterable<SentEvent>) {
  let [text, lastId, reconnects] = ['', '', 0]
  let events = stream
  for (;;) {
    let last: string | undefined
    try {
      for await (const { event, id, data } of events) {
        if (event === 'message.delta') text += data['delta'] as string
        if (id !== undefined) lastId = id
        last = event
      }
    } catch (error) {
      balancer.dropped.push(`the stream of ${path}: ${String(error)}`)
    }
    if (last !== 'stream.reconnect') return { text, last, reconnects }
    reconnects++
    events = await balancer.events(path, { headers: lastId === '' ? {} : { 'last-event-id': lastId } })
  }
}

t.test(`${RESTARTS} restarts in turn under load drop no request that was accepted`, async (t) => {
  const sim = await startTestSim(t, { cadence: { chunkDelayMs: 40 } })
  const { key, uri, database, env } = await replicaEnv(t, modelAt(sim.url))
  const balancer = new Balancer(key)
  const over = new AbortController()
  const unwatched = new AbortController()
  const running = [new Replica(t, env), new Replica(t, env)]
  const ended: Array<Promise<void>> = []
  for (const replica of running) balancer.replicas.add(await replica.start())
  const watching = balancer.watch(unwatched.signal)

  const { id: configId } = await balancer.json<{ id: string }>('/api/configs', { body: { purpose: 'Help.' } })
  const counts = { sent: 0, streamed: 0, reads: 0, reconnects: 0 }
  const openSession = async () =>
    `/api/sessions/${(await balancer.json<{ id: string }>('/api/sessions', { body: { configId } })).id}/messages`

  const sends = async (name: string) => {
    const path = await openSession()
    while (!over.signal.aborted) {
      const request = { body: { message: words }, headers: { 'idempotency-key': `${name}-${counts.sent}` } }
      const first = balancer.json<{ botMessage: MessageView }>(path, request)
      // A twin joins the turn, often on the other replica.
      await delay(100)
      const [{ botMessage }, twin] = await Promise.all([first, balancer.json<{ botMessage: MessageView }>(path, request)])
      t.match(botMessage.content, words)
      if (botMessage.status === 'completed') t.equal(twin.botMessage.id, botMessage.id)
      counts.sent++
    }
  }

  const streams = async (name: string, message: string) => {
    const path = await openSession()
    while (!over.signal.aborted) {
      const headers = { accept: 'text/event-stream', 'idempotency-key': `${name}-${counts.streamed}` }
      const events = await balancer.events(path, { body: { message }, headers })
      const iterator = events[Symbol.asyncIterator]()
      const begun = (await iterator.next()).value as SentEvent
      const { id } = begun.data['botMessage'] as MessageView
      const own = readWhole(balancer, `${path}/${id}/stream`, { [Symbol.asyncIterator]: () => iterator })
      const other = balancer.events(`${path}/${id}/stream`)
        .then(async (events) => await readWhole(balancer, `${path}/${id}/stream`, events))
      const [mine, followed] = await Promise.all([own, other])
      const { content, status } = await balancer.json<MessageView>(`${path}/${id}`)
      t.equal(status, 'completed')
      for (const read of [mine, followed]) {
        t.strictSame([read.text, read.last], [content, 'message.completed'])
        counts.reconnects += read.reconnects
      }
      counts.streamed++
    }
  }

  const reads = async () => {
    while (!over.signal.aborted) {
      await balancer.json(`/api/sessions?configId=${configId}&limit=5`)
      counts.reads++
      await delay(10)
    }
  }

  const load = Promise.all([sends('a'), sends('b'), streams('c', words), streams('d', words.repeat(8)), streams('e', words.repeat(8)), reads(), reads(), reads()])
  load.catch(() => {})
  for (let i = 0; i < RESTARTS; i++) {
    const coming = await new Replica(t, env).start()
    balancer.replicas.add(coming)
    running.push(coming)
    const leaving = running.shift()!
    // It drains while the next one starts; two are always there.
    ended.push(leaving.process.end().then(({ code, stderr }) => {
      balancer.replicas.delete(leaving)
      t.strictSame([code, stderr], [0, ''], `restart ${i + 1}`)
    }))
  }
  await Promise.all(ended)
  over.abort()
  await load
  unwatched.abort()
  await watching
  t.comment(JSON.stringify({ ...counts, answered: balancer.answered, repeated: balancer.repeated }))
  t.strictSame(balancer.dropped, [])
  t.ok(counts.sent > RESTARTS && counts.streamed > RESTARTS && counts.reads > RESTARTS, 'there was load')
  t.ok(counts.reconnects > 0, 'readers were sent to another replica')
  await Promise.all(running.map(async ({ process }) => await process.end()))
  t.strictSame(await checkLedger(uri, database, { deterministic: true }), [])
})

t.test('a request that is on its way is answered, and connections that nobody uses hold nothing up', async (t) => {
  const key = newApiKey()
  const process = new ServerProcess(t, { PORT: '0', DATA_DIR: await temporaryFolder(t), BOOTSTRAP_API_KEY: key })
  const url = new URL(await process.serving())
  const open = async (): Promise<Socket> => {
    const socket = connect(Number(url.port), url.hostname)
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  const [silent, idle, slow] = [await open(), await open(), await open()]
  idle.write(`GET /health/live HTTP/1.1\r\nhost: ${url.host}\r\n\r\n`)
  const [alive] = await once(idle, 'data') as [Buffer]
  t.match(alive.toString(), /^HTTP\/1.1 200[^]*connection: keep-alive/i)
  slow.write(`POST /api/configs HTTP/1.1\r\nhost: ${url.host}\r\nx-api-key: ${key}\r\ncontent-type: application/json\r\ncontent-length: 19\r\n\r\n{"purpose":`)

  const ended = process.end()
  let ready = 200
  while (ready === 200) ready = (await fetch(new URL('/health/ready', url))).status
  t.equal(ready, 503)
  slow.write('"Help."}')
  t.match(await text(slow), /^HTTP\/1.1 201[^]*connection: close[^]*"purpose":"Help."/i)
  await once(idle.resume(), 'close')
  await once(silent.resume(), 'close')
  t.match(await ended, { code: 0, stderr: '' })
})
