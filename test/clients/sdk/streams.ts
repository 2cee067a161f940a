// Streams by the packed client, over connections that are cut.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Parley, ParleyError, type ReplyEvent } from '@parley/client'

const { PARLEY_URL, PARLEY_KEY: credential } = process.env as { PARLEY_URL: string, PARLEY_KEY: string }
const server = new URL(PARLEY_URL)

function must (holds: boolean, what: string, value?: unknown): asserts holds {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(value)}`)
}

/** Stands between client and server, and notes which requests come. */
class Cable {
  readonly requests: string[] = []
  /** Takes the next answer away: the server has done what was asked, and nobody learns it. */
  losesNextAnswer = false
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer((client) => {
    const upstream = connect(Number(server.port), server.hostname)
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket)
      socket.on('close', () => { this.#sockets.delete(socket) }).on('error', () => {})
    }
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
    client.on('data', (chunk) => {
      const line = /^(GET|POST|PUT) \S+/.exec(chunk.toString('latin1'))?.[0]
      if (line) this.requests.push(line)
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (!this.losesNextAnswer) client.write(chunk)
      else {
        this.losesNextAnswer = false
        client.resetAndDestroy()
      }
    })
  })

  async url (): Promise<string> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  cut (): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  close (): void {
    this.cut()
    this.#server.close()
  }
}

const cable = new Cable()
const reconnection = { attempts: 5, delayMs: 20, idleMs: 10_000 }
const parley = new Parley({ baseUrl: await cable.url(), credential, reconnection })
const config = await parley.createConfig({ body: { purpose: 'Help.', titles: false, summaries: false } })
const long = Array.from({ length: 100 }, (_, i) => `word${i}`).join(' ')

async function newSession (): Promise<{ id: string }> {
  return { id: (await parley.createSession({ body: { configId: config.id } })).id }
}

/** The text of deltas, each of which must begin where the one before it ended. */
function textOf (events: ReplyEvent[]): string {
  let text = ''
  for (const event of events) {
    if (event.event !== 'message.delta') continue
    must(event.data.offset === text.length, 'a piece is lost or comes twice', event)
    text += event.data.delta
  }
  return text
}

const said = async (path: { id: string }) => (await parley.listMessages({ path })).data.map(({ role }) => role).join()

async function cutInTheMiddle (): Promise<void> {
  const path = await newSession()
  const events: ReplyEvent[] = []
  cable.requests.length = 0
  let cuts = 0
  for await (const event of parley.sendMessageStreamed({ path, body: { message: long } })) {
    events.push(event)
    // Each connection once: of what had come before a cut, the reader still hears after it.
    if (cuts < 3 && cable.requests.length > cuts) {
      cuts++
      cable.cut()
    }
  }
  const last = events.at(-1)!
  must(last.event === 'message.completed' && last.data.botMessage.content === textOf(events), 'not the whole reply', last)
  must(events.filter(({ event }) => event === 'message.started').length === 1, 'it begins once')
  must(cable.requests.length === 4 && cable.requests.filter((line) => line.startsWith('POST')).length === 1, 'sent once, followed thrice', cable.requests)
  must(await said(path) === 'user,bot', 'said once')
}

async function answerLost (): Promise<void> {
  const path = await newSession()
  cable.requests.length = 0
  cable.losesNextAnswer = true
  const events = await Array.fromAsync(parley.sendMessageStreamed({ path, body: { message: 'Hello?' } }))
  must(cable.requests.length === 2, 'sent again, with its key', cable.requests)
  must(textOf(events).startsWith('sim:') && await said(path) === 'user,bot', 'said once', events)
}

async function feedCut (): Promise<void> {
  const path = await newSession()
  const told: string[] = []
  let text = ''
  for await (const event of parley.followSession({ path })) {
    told.push(event.event)
    if (event.event === 'feed.started') {
      // While the feed is away, the whole reply is written.
      cable.cut()
      await new Parley({ baseUrl: PARLEY_URL, credential }).sendMessage({ path, body: { message: 'One.' } })
    }
    if (event.event === 'message.delta') {
      text += event.data.delta
      cable.cut()
    }
    if (event.event === 'message.completed') {
      must(event.data.botMessage.content === text, 'all of the text', event)
      await parley.deleteSession({ path })
    }
  }
  must(told.join().replace(/(message\.delta,)+/, 'deltas,') === 'feed.started,message.started,deltas,message.completed,session.deleted', 'each once and in order', told)
}

async function goneOnLater (): Promise<void> {
  const path = await newSession()
  const first: ReplyEvent[] = []
  let at = ''
  for await (const event of parley.sendMessageStreamed({ path, body: { message: long } })) {
    first.push(event)
    at = event.id ?? at
    if (first.length === 4) break
  }
  const started = first[0]!
  must(started.event === 'message.started', 'not begun', started)
  const rest = await Array.fromAsync(parley.streamMessage({ path: { ...path, messageId: started.data.botMessage.id }, lastEventId: at }))
  const last = rest.at(-1)!
  must(last.event === 'message.completed' && last.data.botMessage.content === textOf([...first, ...rest]), 'the rest of it', last)
}

async function aborted (): Promise<void> {
  const path = await newSession()
  const leaving = new AbortController()
  let bot = ''
  const reading = (async () => {
    for await (const event of parley.sendMessageStreamed({ path, body: { message: long }, signal: leaving.signal })) {
      if (event.event === 'message.started') bot = event.data.botMessage.id
      if (event.event === 'message.delta') leaving.abort()
    }
  })()
  const error: unknown = await reading.catch((error: unknown) => error)
  must(error instanceof DOMException && error.name === 'AbortError', 'not aborted', String(error))
  const stopped = await parley.stopMessage({ path: { ...path, messageId: bot } })
  must(stopped.status === 'stopped', 'whoever leaves does not stop the reply', stopped)
}

async function givenUp (): Promise<void> {
  const path = await newSession()
  cable.requests.length = 0
  const events = parley.followSession({ path })
  await events.next()
  cable.close()
  const error: unknown = await events.next().catch((error: unknown) => error)
  must(error instanceof ParleyError && error.code === 'connection_failed' && error.retryable, 'not given up', String(error))
}

await cutInTheMiddle()
await answerLost()
await feedCut()
await goneOnLater()
await aborted()
await givenUp()
