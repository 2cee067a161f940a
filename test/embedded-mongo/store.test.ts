import { MongoClient } from 'mongodb'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import t from 'tap'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { Storage } from '../../src/embedded-mongo/storage/storage.ts'

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

t.test('a store keeps its data over a restart and lets nobody else in', async (t) => {
  const dataDir = join(t.testdir(), 'new', 'data')
  const store = await startEmbeddedStore({ dataDir, port: 0 })
  t.match(store.uri, /^mongodb:\/\/%2F.*\.sock\/\?directConnection=true$/)
  t.equal(statSync(dataDir).mode & 0o777, 0o700)
  t.equal(statSync(store.socketPath).mode & 0o777, 0o600)
  await t.rejects(startEmbeddedStore({ dataDir }), { message: /the data directory .* is in use by another process/ })
  await MongoClient.connect(`mongodb://127.0.0.1:${store.port}/?directConnection=true`).then(async (client) => {
    await client.db('test').collection('things').createIndex({ a: 1 }, { unique: true })
    await client.db('test').collection('things').insertMany([{ a: 1, list: [1, 2] }, { a: 2 }])
    await client.close()
  })
  const socketPath = store.socketPath
  await Promise.all([store.close(), store.close()])
  t.notOk(existsSync(socketPath), 'its socket is gone')

  const again = await startEmbeddedStore({ dataDir })
  t.equal(again.port, undefined)
  const client = await MongoClient.connect(again.uri)
  const things = client.db('test').collection('things')
  t.same((await things.find({ a: { $gt: 0 } }).sort({ a: -1 }).toArray()).map(({ a }) => a as number), [2, 1])
  await t.rejects(things.insertOne({ a: 2 }), { code: 11000 })
  await client.close()
  await again.close()
})

t.test('a path too long for a socket falls back to a private temporary folder', async (t) => {
  const dataDir = join(t.testdir(), 'x'.repeat(120))
  const store = await startEmbeddedStore({ dataDir })
  t.notOk(store.socketPath.startsWith(dataDir))
  t.equal(statSync(dirname(store.socketPath)).mode & 0o777, 0o700)
  const client = await MongoClient.connect(store.uri)
  t.match(await client.db('test').command({ ping: 1 }), { ok: 1 })
  await client.close()
  await store.close()
  t.notOk(existsSync(dirname(store.socketPath)))
})

t.test('what cannot be opened is refused with its reason', async (t) => {
  const dataDir = t.testdir({ file: '' })
  await t.rejects(startEmbeddedStore({ dataDir: join(dataDir, 'file') }), /file/)
  const taken = await startEmbeddedStore({ dataDir: join(dataDir, 'one'), port: 0 })
  await t.rejects(startEmbeddedStore({ dataDir: join(dataDir, 'two'), port: taken.port ?? 0 }), /EADDRINUSE/)
  await taken.close()
  const newer = open<Buffer, Buffer>(
    { path: join(dataDir, 'one', 'store.mdb'), encoding: 'binary', keyEncoding: 'binary', overlappingSync: false }
  )
  await newer.put(Buffer.from([0x00, 0x76]), Buffer.from([0, 0, 0, 99]))
  await newer.close()
  await t.rejects(
    startEmbeddedStore({ dataDir: join(dataDir, 'one') }),
    /has format 99; this version reads formats up to 1/
  )
  mkdirSync(join(dataDir, 'three'))
  const broken = join(dataDir, 'three', 'lock')
  mkdirSync(broken)
  chmodSync(broken, 0o700)
  await t.rejects(startEmbeddedStore({ dataDir: join(dataDir, 'three') }))
})

t.test('an unforeseen error in a transaction rolls back everybody in it; a closed store refuses', async (t) => {
  const storage = new Storage(t.testdir())
  let aborts = 0
  storage.onAbort = () => aborts++
  const key = Buffer.from([9, 9])
  const writes = await Promise.allSettled([
    storage.write(() => storage.put(key, Buffer.from('one'))),
    storage.write(() => {
      storage.put(Buffer.from([9, 8]))
      throw new Error('unforeseen')
    })
  ])
  t.same(writes.map(({ status }) => status), ['rejected', 'rejected'])
  t.equal(storage.get(key), undefined)
  t.equal(aborts, 1)
  t.same(
    await Promise.allSettled([storage.write(() => { throw new Error('before any put') }), storage.write(() => 5)]).then(
      (all) => all.map(({ status }) => status)
    ),
    ['rejected', 'fulfilled']
  )
  const last = storage.write(() => storage.put(key, Buffer.from('two')))
  await storage.close()
  await last
  await t.rejects(storage.write(() => 1), /closed/)
})

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
