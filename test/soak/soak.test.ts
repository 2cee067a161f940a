import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { MongoClient, ObjectId } from 'mongodb'
import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { temporaryFolder } from '../helper.ts'
import { checkLedger } from '../ledger.ts'
import { ServerProcess } from '../server-process.ts'
import { startTestSim } from '../sim.ts'
import { median, type Sample, sampleOf, slope } from './trend.ts'
import { Visitors } from './visitors.ts'

// A server at 60 % of what it can do, for minutes, while calls of the model fail and the store is killed twice.

const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 10)
const SHARE = 0.6
const CALLERS = 32
const CALIBRATION_MS = 10_000
const SAMPLE_MS = 5000
const AWAY_MS = 3000
const TICK_MS = 10
// Until then caches fill and code is compiled.
const WARM_UP = 0.3
const KILLS = [0.4, 0.7]

t.setTimeout((MINUTES + 5) * 60_000)

t.test(`${MINUTES} minutes at ${SHARE * 100} % of the capacity`, async (t) => {
  const dataDir = await temporaryFolder(t)
  const sim = await startTestSim(t, { seed: 7, cadence: { firstDelayMs: 20, chunkDelayMs: 2 } })
  const socket = join(dataDir, 'mongodb.sock')
  const uri = `mongodb://${encodeURIComponent(socket)}/?directConnection=true`
  const startStore = async () => {
    const store = new ServerProcess(t, { DATA_DIR: dataDir }, { entry: 'src/embedded-mongo/main.ts' })
    while (!existsSync(socket)) await pause(20)
    return store
  }
  let store = await startStore()
  const key = newApiKey()
  const parley = new ServerProcess(t, {
    MONGODB_URI: uri,
    BOOTSTRAP_API_KEY: key,
    PORT: '0',
    RATE_LIMIT_PER_MINUTE: '0',
    TURN_LEASE_MS: '5000',
    MISTRAL_BASE_URL: sim.url,
    MISTRAL_API_KEY: 'sim'
  })
  const client = await parley.client(key)
  const visitors = new Visitors(client, await client.createConfig())

  let served = 0
  const calibrated = performance.now() + CALIBRATION_MS
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    for (; performance.now() < calibrated; served++) await visitors.visit()
  }))
  const perMs = SHARE * served / CALIBRATION_MS
  t.comment(`capacity ${Math.round(served * 1000 / CALIBRATION_MS)} requests/s`)
  t.strictSame([...visitors.outcomes.keys()].filter((outcome) => !/^(20[01]|left|stream: message.completed)$/.test(outcome)), [], 'all is well before')

  const faults = [{ status: { code: 429 } }, { status: { code: 500 } }, { reset: { at: 'request' as const } }, { reset: { afterChunks: 5 } }]
  sim.script([{ probability: 0.05, times: 'always', fault: faults }])
  const samples: Sample[] = []
  const started = performance.now()
  const part = () => (performance.now() - started) / (MINUTES * 60_000)
  const sampling = (async () => {
    for (; part() < 1; await pause(SAMPLE_MS)) {
      samples.push(sampleOf(await (await client.fetch('/metrics')).text(), part() * MINUTES))
    }
  })()
  const killing = (async () => {
    for (const kill of KILLS) {
      while (part() < kill) await pause(100)
      await store.end('SIGKILL')
      await pause(AWAY_MS)
      store = await startStore()
    }
  })()
  for (let sent = 0; part() < 1; await pause(TICK_MS)) {
    for (const due = (performance.now() - started) * perMs; sent < due; sent++) visitors.enter()
  }
  await Promise.all([sampling, killing, visitors.allLeft()])

  const steady = samples.filter(({ minute }) => minute > MINUTES * WARM_UP)
  const quarter = Math.ceil(steady.length / 4)
  const [first, last] = [steady.slice(0, quarter), steady.slice(-quarter)]
  for (const member of ['residentMb', 'heapMb', 'handles'] as const) {
    t.comment(`${member}: ${median(first, member).toFixed(1)} to ${median(last, member).toFixed(1)}, ${slope(steady, member).toFixed(2)} a minute`)
  }
  t.comment(`answers: ${JSON.stringify(Object.fromEntries(visitors.outcomes))}; ${visitors.acknowledged.length} replies acknowledged`)
  t.ok(slope(steady, 'residentMb') < 1, 'memory does not grow')
  // How many there are at a moment is how many are being served.
  t.ok(median(last, 'handles') < median(first, 'handles') * 1.2 + 10, 'nor does the number of handles')

  sim.reset()
  t.strictSame(await visitors.sayGoodbye(), ['200'], 'every session can be gone on with')
  const settledBy = performance.now() + 60_000
  const violations = async () => await checkLedger(uri, 'parley', { recorded: true })
  while ((await violations()).length > 0 && performance.now() < settledBy) await pause(1000)
  t.strictSame(await violations(), [], 'the ledger is clean')
  const mongo = new MongoClient(uri)
  t.teardown(async () => await mongo.close())
  const kept = await mongo.db('parley').collection('messages').countDocuments({ _id: { $in: visitors.acknowledged.map((id) => new ObjectId(id)) }, status: 'completed' })
  t.equal(kept, visitors.acknowledged.length, 'nothing that was acknowledged is lost')
  t.equal((await parley.end()).code, 0)
})
