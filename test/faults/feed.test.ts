import { setTimeout as delay } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import t, { type Test } from 'tap'
import { type Message as MessageView } from '../../schemas/message.ts'
import { FeedReader, told, type Told } from '../feeds.ts'
import { type Client, type SentEvent } from '../helper.ts'
import { RedisServer, withoutRedis } from '../redis-server.ts'
import { startProcesses } from '../replicas.ts'

t.setTimeout(600_000)

const WRITERS = 3
const STEPS = 40
const LEASE_MS = 1000
const THE_END = 'the end'
const isTheEnd = ({ event, data }: SentEvent) => event === 'session.updated' && data['title'] === THE_END

type Random = (below: number) => number

/** Mulberry32: the same numbers for the same seed. */
function random (seed: number): Random {
  let state = seed
  return (below) => {
    state = (state + 0x6D2B79F5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

interface Setting {
  readonly session: string
  /** Of the processes that are there; a process that is killed leaves. */
  readonly clients: Client[]
  readonly pick: Random
}

/** Does something to a session, whatever it is good for at that moment. */
async function act ({ session, clients, pick }: Setting): Promise<number> {
  const client = clients[pick(clients.length)]!
  const path = `/api/sessions/${session}`
  const messages = async () => (await client.ask<{ data: MessageView[] }>(`${path}/messages?limit=20`)).body.data
  const some = async (role: string) => {
    const found = (await messages()).filter((message) => message.role === role)
    return `${path}/messages/${found.length === 0 ? 'f'.repeat(24) : found[pick(found.length)]!.id}`
  }
  const ask = async (url: string, method: string, body?: object) => (await client.ask(url, { method, ...(body && { body }) })).status
  const send = async (onBusy: string) =>
    await ask(`${path}/messages?onBusy=${onBusy}`, 'POST', { message: `one two ${pick(1000)} four five` })
  const stream = async () => {
    const message = `streamed ${pick(1000)} two three four five six`
    const { response } = await client.events(`${path}/messages?onBusy=queue`, { body: { message } })
    await response.body!.cancel()
    return response.status
  }
  const actions = [
    async () => await send('queue'), async () => await send('queue'), async () => await send('interrupt'), async () => await send('reject'),
    stream, stream, stream,
    async () => await ask(`${path}/messages/${(await messages()).at(-1)?.id ?? 'f'.repeat(24)}/stop`, 'POST'),
    async () => await ask(`${await some('bot')}/feedback`, 'PUT', { rating: pick(2) === 0 ? 'up' : 'down', comment: `${pick(1000)}` }),
    async () => await ask(`${await some('bot')}/feedback`, 'DELETE'),
    async () => await ask(path, 'PATCH', { title: `title ${pick(1000)}` }),
    async () => await ask(path, 'PATCH', { metadata: { n: pick(1000) } }),
    async () => await ask(path, 'PATCH', { status: 'ended' }).then(async () => await ask(path, 'PATCH', { status: 'active' })),
    async () => await ask(await some('user'), 'PUT', { message: `said differently ${pick(1000)} two three` }),
    async () => await ask(`${await some('bot')}/regenerate?onBusy=queue`, 'POST'),
    async () => await ask(await some(pick(2) === 0 ? 'user' : 'bot'), 'DELETE'),
    async () => pick(4) === 0 ? await ask(`${path}/messages`, 'DELETE') : await send('queue'),
    async () => {
      const { body: { data } } = await client.ask<{ data: Array<{ id: string }> }>(`${path}/branches`)
      return await ask(path, 'PATCH', { branchId: data[pick(data.length)]!.id })
    }
  ]
  return await actions[pick(actions.length)]!()
}

/** Reads up to the end, and leaves and comes back again and again meanwhile. */
async function restlessly (
  t: Test, { clients, pick }: Setting, path: string, cursor: string, isLast: (event: SentEvent) => boolean
): Promise<{ events: SentEvent[], visits: number }> {
  const events: SentEvent[] = []
  let last = cursor
  let visits = 0
  for (;;) {
    const client = clients[pick(clients.length)]!
    const reader = await FeedReader.open(t, client, path, last).catch(() => undefined)
    // Its process has just been killed.
    if (!reader) continue
    visits++
    const patience = delay(pick(150), 'leave' as const)
    for (let left = 1 + pick(12); left > 0; left--) {
      const event = await Promise.race([reader.next().catch(() => undefined), patience])
      if (event === undefined || event === 'leave') break
      if (event.event !== 'stream.reconnect') events.push(event)
      last = event.id ?? last
      if (isLast(event)) return { events, visits }
    }
    reader.leave()
  }
}

/** What was told, except of messages that were cleared: who is told of those, depends on who was faster. */
function lasting (events: readonly SentEvent[]): Told[] {
  const cleared = Math.max(0, ...events.filter(({ event }) => event === 'session.cleared').map(({ data }) => data['throughSeq'] as number))
  const seqIn = ({ data }: Told) => {
    const { botMessage, userMessage } = data as { botMessage?: MessageView, userMessage?: MessageView }
    return (botMessage ?? userMessage)?.seq ?? Infinity
  }
  return told(events).filter((event) => seqIn(event) > cleared)
}

/** What an event is about, wherever its reader was: a message, or the change with a number. */
function keyOf ({ event, id, data }: Told): string {
  const { botMessage, userMessage } = data as { botMessage?: MessageView, userMessage?: MessageView }
  return `${event} ${(botMessage ?? userMessage)?.id ?? id!.split(':')[1]}`
}

const keysOf = (events: readonly SentEvent[]) => lasting(events).map(keyOf)

/** What was told of a reply must be what it says at its end, unless it was erased by then, or its process had died. */
function checkTexts (t: Test, events: readonly SentEvent[]): void {
  for (const { data, text } of lasting(events)) {
    if (text === undefined) continue
    const { content, status } = data['botMessage'] as MessageView
    if (text !== content && !['deleted', 'interrupted'].includes(status)) t.equal(text, content, 'the text of a reply')
  }
}

/** Everything that is stored of the one session and not cleared, as it must have been told. */
async function stored (uri: string, database: string): Promise<string[]> {
  const mongo = await MongoClient.connect(uri)
  const db = mongo.db(database)
  const session = await db.collection('sessions').findOne()
  const replies = await db.collection('messages').find({ role: 'bot', seq: { $gt: Number(session!['clearedSeq'] ?? 0) } }).toArray()
  const changes = await db.collection('changes').find().toArray()
  await mongo.close()
  const ended = (status: unknown) => `message.${String(status)}`
  return [
    ...replies.flatMap(({ _id, status, wasStatus }) => [`message.started ${String(_id)}`, `${ended(wasStatus ?? status)} ${String(_id)}`]),
    ...changes.map(({ type, rev }) => `${String(type)} ${String(rev)}`)
  ]
}

interface Load {
  readonly seed: number
  readonly env?: Record<string, string>
  readonly kill?: boolean
}

async function follow (t: Test, { seed, env = {}, kill = false }: Load): Promise<void> {
  const { first, second, clients: [one, two], uri, database, ledger } = await startProcesses(
    t, { cadence: { chunkDelayMs: 8 } }, { TURN_LEASE_MS: String(LEASE_MS), STREAM_FLUSH_MS: '30', ...env }
  )
  const session = await one.converse()
  const [feed, tenantFeed] = [`/api/sessions/${session}/events`, '/api/events']
  const setting: Setting = { session, clients: [one, two], pick: random(seed) }
  const open = async (client: Client, path: string) => {
    const reader = await FeedReader.open(t, client, path)
    const cursor = (await reader.next())!.id!
    // At once: what is not taken would be waited for.
    return { cursor, events: reader.until(isTheEnd).catch(() => []) }
  }
  const [here, there] = [await open(one, feed), await open(two, feed)]
  const [tenantHere, tenantThere] = [await open(one, tenantFeed), await open(two, tenantFeed)]
  const restless = restlessly(t, setting, feed, here.cursor, isTheEnd)
  const tenantRestless = restlessly(t, setting, tenantFeed, tenantHere.cursor, isTheEnd)

  const statuses = new Map<number, number>()
  const write = async (writer: number) => {
    const own = { ...setting, pick: random(seed * 100 + writer) }
    for (let step = 0; step < STEPS; step++) {
      const status = await act(own).catch(() => 0)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  const writing = Promise.all(Array.from({ length: WRITERS }, async (_, writer) => await write(writer)))
  if (kill) {
    await delay(1500)
    setting.clients.pop()
    await second.end('SIGKILL')
  }
  await writing
  await settled(t, one, session)
  t.match(await one.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { title: THE_END } }), { status: 200 })

  const reference = await here.events
  const keys = keysOf(reference)
  const { visits, events: pieced } = await restless
  t.comment(`seed ${seed}: ${reference.length} events in ${visits} visits; answers ${JSON.stringify(Object.fromEntries(statuses))}`)
  t.ok(visits > 10)
  t.strictSame([...keys].sort(), (await stored(uri, database)).sort(), 'everything, each once')
  checkTexts(t, reference)
  const others = {
    'on the other process': kill ? reference : await there.events,
    restless: pieced,
    late: await (await FeedReader.open(t, one, feed, here.cursor)).until(isTheEnd)
  }
  for (const [name, events] of Object.entries(others)) {
    t.strictSame(keysOf(events), keys, `${name}: the same, in the same order`)
    checkTexts(t, events)
  }

  const tenantReference = await tenantHere.events
  const places = (events: SentEvent[]) => lasting(events).map(({ event, id }) => `${event} ${id}`)
  const kinds = (events: SentEvent[]) => lasting(events).map(({ event }) => event).sort()
  t.strictSame(kinds(tenantReference), kinds(reference), 'the tenant is told as much')
  const tenantOthers = {
    'on the other process': kill ? tenantReference : await tenantThere.events,
    restless: (await tenantRestless).events,
    late: await (await FeedReader.open(t, one, tenantFeed, tenantHere.cursor)).until(isTheEnd)
  }
  for (const [name, events] of Object.entries(tenantOthers)) t.strictSame(places(events), places(tenantReference), `tenant, ${name}`)
  t.strictSame(await ledger(), [])
  await first.end()
}

/** Waits until no reply is being written any more. */
async function settled (t: Test, client: Client, session: string): Promise<void> {
  for (;;) {
    const last = { body: { message: 'last' } }
    const { status, body } = await client.ask(`/api/sessions/${session}/messages?onBusy=queue`, last)
    if (status === 200) return
    if (status === 409) await client.ask(`/api/sessions/${session}`, { method: 'PATCH', body: { status: 'active' } })
    t.ok([409, 502, 503].includes(status), `${status} ${JSON.stringify(body)}`)
    await delay(50)
  }
}

t.test('everybody is told everything once, in one order', async (t) => {
  for (const seed of [1, 2]) await follow(t, { seed })
})

t.test('by Redis, too', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start(t)
  await follow(t, { seed: 4, env: { REDIS_URL: redis.url, STREAM_FLUSH_MS: '1000' } })
})

t.test('and where a process is killed in the middle of it', async (t) => {
  for (const seed of [5, 6]) await follow(t, { seed, kill: true })
})
