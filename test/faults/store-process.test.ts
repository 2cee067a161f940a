import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'

const main = fileURLToPath(new URL('../../src/embedded-mongo/main.ts', import.meta.url))

interface Process {
  child: ChildProcess
  /** The next line of its log that has a `uri`. */
  uri: () => Promise<string>
  stderr: () => string
  exit: () => Promise<[number | null, string | null]>
}

function run (env: Record<string, string>): Process {
  const child = spawn(process.execPath, [main], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  let errors = ''
  child.stderr.on('data', (chunk) => { errors += String(chunk) })
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>
  const uri = async () => {
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      const entry = JSON.parse(line.value) as { uri?: string }
      if (entry.uri !== undefined) return entry.uri
    }
    throw new Error(`the store ended: ${errors}`)
  }
  return { child, uri, stderr: () => errors, exit: () => exited }
}

t.test('npm run store: says where it listens, serves, and ends cleanly on SIGTERM', async (t) => {
  const store = run({ DATA_DIR: t.testdir(), STORE_PORT: '0' })
  const socketUri = await store.uri()
  const portUri = await store.uri()
  t.match(portUri, /^mongodb:\/\/127\.0\.0\.1:\d+\//)
  for (const uri of [socketUri, portUri]) {
    const client = await MongoClient.connect(uri)
    t.match(await client.db('test').command({ ping: 1 }), { ok: 1 })
    await client.close()
  }
  store.child.kill('SIGTERM')
  t.same(await store.exit(), [0, null])
})

t.test('npm run store: a bad port or a directory in use is one line, and exit 1', async (t) => {
  const dataDir = t.testdir()
  const bad = run({ DATA_DIR: dataDir, STORE_PORT: 'http' })
  t.same(await bad.exit(), [1, null])
  t.equal(bad.stderr(), 'STORE_PORT must be a port number from 0 to 65535, not "http"\n')
  const first = run({ DATA_DIR: dataDir, STORE_PORT: '' })
  await first.uri()
  const second = run({ DATA_DIR: dataDir, STORE_PORT: '' })
  t.same(await second.exit(), [1, null])
  t.match(second.stderr(), /^the data directory .* is in use by another process\n$/)
  first.child.kill('SIGINT')
  t.same(await first.exit(), [0, null])
})

t.test('nothing acknowledged is lost by kill -9', async (t) => {
  const dataDir = t.testdir()
  const victim = run({ DATA_DIR: dataDir })
  const client = new MongoClient(await victim.uri(), { serverSelectionTimeoutMS: 2000 })
  const things = client.db('test').collection<{ _id: number, k: number }>('things')
  await things.createIndex({ k: 1 }, { unique: true })
  const acknowledged: number[] = []
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let i = 0; ; i++) {
      const _id = writer * 100_000 + i
      await things.insertOne({ _id, k: -_id })
      acknowledged.push(_id)
      if (acknowledged.length === 300) victim.child.kill('SIGKILL')
    }
  })
  await Promise.allSettled(writers)
  await client.close()
  await victim.exit()

  const survivor = await startEmbeddedStore({ dataDir })
  const again = await MongoClient.connect(survivor.uri)
  const found = await again.db('test').collection<{ _id: number, k: number }>('things')
    .find().hint({ $natural: 1 }).toArray()
  const indexed = await again.db('test').collection('things').find({ k: { $lte: 0 } }).hint('k_1').toArray()
  const ids = new Set(found.map(({ _id }) => _id))
  t.ok(acknowledged.length >= 300)
  t.same(acknowledged.filter((id) => !ids.has(id)), [])
  t.equal(indexed.length, found.length, 'every document has its index entry')
  await again.close()
  await survivor.close()
})
