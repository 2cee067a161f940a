import { MongoClient } from 'mongodb'
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { open } from 'lmdb'
import t from 'tap'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { Storage } from '../../src/embedded-mongo/storage/storage.ts'

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
