import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { join } from 'node:path'
import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { freePort } from '../free-port.ts'
import { temporaryFolder } from '../helper.ts'
import { ServerProcess } from '../server-process.ts'

// What happens to a server whose store is killed under load, or stands still, and comes back.

const PER_SECOND = 50
const AWAY_MS = 20_000

interface Answered {
  readonly sent: boolean
  readonly status: number
  readonly ms: number
  readonly at: number
  readonly retryAfter: string | null
}

t.test('a store that is killed under load', async (t) => {
  const dataDir = await temporaryFolder(t)
  const port = String(await freePort())
  const startStore = () => new ServerProcess(t, { DATA_DIR: dataDir }, { entry: 'src/embedded-mongo/main.ts' })
  let store = startStore()
  const key = newApiKey()
  const socket = join(dataDir, 'mongodb.sock')
  while (!existsSync(socket)) await pause(20)
  const uri = `mongodb://${encodeURIComponent(socket)}/?directConnection=true`
  const parley = new ServerProcess(t, { MONGODB_URI: uri, BOOTSTRAP_API_KEY: key, PORT: port, RATE_LIMIT_PER_MINUTE: '1000000' })
  const client = await parley.client(key)
  const sessions = await Promise.all(Array.from({ length: 40 }, async () => await client.converse()))
  const answers: Answered[] = []
  const probes: Array<{ path: string, status: number, ms: number, at: number }> = []
  const acknowledged: string[] = []
  const others: unknown[] = []
  const asking = new Set<Promise<void>>()
  const keep = (work: Promise<void>) => {
    const kept = work.catch(({ cause }: Error) => { others.push(cause) }).finally(() => asking.delete(kept))
    asking.add(kept)
  }

  async function ask (i: number): Promise<void> {
    const at = performance.now()
    const session = sessions[i % sessions.length]!
    const sent = i % 2 === 0
    const answer = sent
      ? await client.ask<{ botMessage?: { id: string } }>(`/api/sessions/${session}/messages`, { body: { message: 'Are you there?' } })
      : await client.ask<{ botMessage?: { id: string } }>(`/api/sessions/${session}/messages?limit=2`)
    if (sent && answer.status === 200) acknowledged.push(`${session}/messages/${answer.body.botMessage!.id}`)
    if (![200, 409, 503].includes(answer.status)) others.push(answer.body)
    answers.push({ sent, at, status: answer.status, ms: performance.now() - at, retryAfter: answer.headers.get('retry-after') })
  }
  async function probe (path: string): Promise<void> {
    const at = performance.now()
    probes.push({ path, at, status: (await client.ask(path)).status, ms: performance.now() - at })
  }
  const memory = async () => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${parley.child.pid}/status`, 'utf8'))?.[1]) / 1024

  let count = 0
  const load = setInterval(() => {
    keep(ask(count++))
    if (count % 5 === 0) for (const path of ['/health', '/health/live', '/health/ready']) keep(probe(path))
  }, 1000 / PER_SECOND)
  t.teardown(() => clearInterval(load))
  const until = async (holds: () => boolean) => { while (!holds()) await pause(50) }

  await until(() => acknowledged.length >= 50)
  const before = await memory()
  const gone = performance.now()
  await store.end('SIGKILL')
  await pause(AWAY_MS)
  const after = await memory()
  const back = performance.now()
  store = startStore()
  const served = acknowledged.length
  await until(() => acknowledged.length > served + 50)
  const firstServed = Math.min(...answers.filter(({ at, status }) => at > back && status === 200).map(({ at, ms }) => at + ms)) - back
  clearInterval(load)
  await Promise.all(asking)

  // Those that were on their way when it went may have been answered, and those at the end of it are served.
  const during = answers.filter(({ at }) => at > gone + 500 && at < back - 3500)
  t.ok(during.length > 0 && during.every(({ status }) => status === 503), 'whoever asks meanwhile is told to come back', { statuses: [...new Set(during.map(({ status }) => status))] })
  t.ok(during.every(({ retryAfter }) => Number(retryAfter) > 0), 'and when')
  t.same(others, [], 'nothing else happens', { log: parley.stdout.split('\n').filter((line) => line.includes('"internal"')).slice(0, 3) })
  const away = probes.filter(({ at }) => at > gone + 4000 && at < back - 500)
  t.ok(away.length > 0 && away.filter(({ path }) => path === '/health/live').every(({ status }) => status === 200), 'alive')
  t.ok(away.filter(({ path }) => path !== '/health/live').every(({ status }) => status === 503), 'not ready')
  for (const path of acknowledged) t.equal((await client.ask(`/api/sessions/${path}`)).status, 200, 'nothing that was acknowledged is lost')
  t.equal((await client.ask('/health/ready')).status, 200)
  const sorted = (times: number[]) => times.toSorted((a, b) => a - b)
  const [slowest, healthMs] = [sorted(during.map(({ ms }) => ms)).at(-1)!, sorted(away.map(({ ms }) => ms))]
  // Here 4 s, 30 MB and 1 s; the bounds leave room for a slow machine.
  t.ok(slowest < 8000, 'soon', { slowest })
  t.ok(after - before < 100, 'without taking more and more memory', { before, after })
  t.ok(firstServed < 15_000, 'and it serves again by itself', { firstServed })
  t.comment(`503 within ${slowest.toFixed(0)} ms; health p50 ${healthMs[healthMs.length >> 1]!.toFixed(1)}, p99 ` +
    `${healthMs[Math.floor(healthMs.length * 0.99)]!.toFixed(1)} ms; memory ${before.toFixed(0)} to ${after.toFixed(0)} MB; served again after ${firstServed.toFixed(0)} ms`)
  t.equal((await parley.end()).code, 0)
})

t.test('a store that stands still is told of at once', async (t) => {
  const dataDir = await temporaryFolder(t)
  const socket = join(dataDir, 'mongodb.sock')
  const store = new ServerProcess(t, { DATA_DIR: dataDir }, { entry: 'src/embedded-mongo/main.ts' })
  while (!existsSync(socket)) await pause(20)
  const key = newApiKey()
  const uri = `mongodb://${encodeURIComponent(socket)}/?directConnection=true`
  const parley = new ServerProcess(t, { MONGODB_URI: uri, BOOTSTRAP_API_KEY: key, PORT: '0' })
  const client = await parley.client(key)
  t.equal((await client.ask('/health/ready')).status, 200)
  store.child.kill('SIGSTOP')
  while ((await client.ask('/health/ready')).status === 200);
  t.match(await client.ask('/health'), { status: 503, body: { status: 'unavailable', checks: { store: 'does not answer' } } })
  t.equal((await client.ask('/health/live')).status, 200)
  store.child.kill('SIGCONT')
  while ((await client.ask('/health/ready')).status !== 200);
  t.match(await client.ask('/health'), { status: 200, body: { checks: { store: 'ok' } } })
})
