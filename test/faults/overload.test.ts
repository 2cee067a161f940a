import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { temporaryFolder } from '../helper.ts'
import { readMetrics, valueOf } from '../metrics.ts'
import { ServerProcess } from '../server-process.ts'

// What a server makes of a thousand requests at once, which it can do, and of more than it can.

t.setTimeout(300_000)

interface Answered {
  readonly status: number
  readonly type: string | undefined
  readonly retryAfter: string | undefined
  readonly body: Record<string, unknown>
}

const key = newApiKey()
const server = new ServerProcess(t, { DATA_DIR: await temporaryFolder(t), BOOTSTRAP_API_KEY: key, PORT: '0', RATE_LIMIT_PER_MINUTE: '0' })
const client = await server.client(key)
const { hostname, port } = new URL(client.url)

async function connected (): Promise<Socket> {
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  return socket
}

/** Connections first, so that the requests come at once. */
async function connections (count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < count) sockets.push(...await Promise.all(Array.from({ length: 100 }, connected)))
  return sockets
}

/** Written as it stands: a client of HTTP takes so long for a thousand that they would not come at once. */
async function post (socket: Socket, path: string, body: object): Promise<Answered> {
  const sent = JSON.stringify(body)
  socket.write(`POST ${path} HTTP/1.1\r\nhost: ${hostname}\r\nconnection: close\r\nx-api-key: ${key}\r\n` +
    `content-type: application/json\r\ncontent-length: ${sent.length}\r\n\r\n${sent}`)
  const [head = '', answer = ''] = (await text(socket)).split('\r\n\r\n')
  const [, status] = /^HTTP\/1.1 (\d+)/.exec(head) ?? []
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(head)?.[1]
  return { status: Number(status), type: header('content-type'), retryAfter: header('retry-after'), body: JSON.parse(answer) as Record<string, unknown> }
}

const isOverloaded = async () => valueOf(await readMetrics(client.url), 'overloaded') === 1

async function calm (): Promise<void> {
  while (await isOverloaded()) await delay(100)
}

/** How many had which status and code. */
function countBy (answers: readonly Answered[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { status, body: { code } } of answers) {
    const name = [status, code].join(' ').trim()
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

const configId = await client.createConfig()
const sessions: string[] = []

t.test('a thousand at once are all served', async (t) => {
  const sockets = await connections(1000)
  const made = await Promise.all(sockets.map(async (socket) => await post(socket, '/api/sessions', { configId })))
  t.strictSame(countBy(made), { 201: 1000 })
  sessions.push(...made.map(({ body }) => String(body['id'])))
  await calm()
})

t.test('of more than may wait, the excess is refused, the rest is served, and health is told', async (t) => {
  const sockets = await connections(1800)
  const asked = Promise.all(sockets.map(async (socket) => await post(socket, '/api/sessions', { configId })))
  const health: number[] = []
  const notYet = Promise.resolve()
  while (await Promise.race([asked, notYet]) === undefined) {
    for (const path of ['/health', '/health/live', '/health/ready', '/api/admin/log-level']) health.push((await client.ask(path)).status)
  }
  const answers = await asked
  const refused = answers.filter(({ status }) => status === 503)
  const served = answers.filter(({ status }) => status === 201).length
  t.equal(served + refused.length, 1800, 'everybody is told')
  t.ok(served >= 1024, 'who may wait is served', { served })
  t.ok(refused.length > 0)
  const isRight = ({ type, retryAfter, body }: Answered) =>
    type?.startsWith('application/problem+json') && Number(retryAfter) >= 1 && body['code'] === 'overloaded' && body['retryable'] === true
  t.ok(refused.every(isRight), 'with when to come back')
  t.strictSame([...new Set(health)], [200])
  t.equal(valueOf(await readMetrics(client.url), 'overload_refusals_total'), refused.length)
})

t.test('and then all is as before', async (t) => {
  await calm()
  const sockets = await connections(1000)
  const answers = await Promise.all(sockets.map(async (socket, i) => await post(socket, `/api/sessions/${sessions[i]}/messages`, { message: 'Hello.' })))
  t.strictSame(countBy(answers), { 200: 1000 })
  const { code, stderr } = await server.end()
  t.strictSame([code, stderr], [0, ''])
})
