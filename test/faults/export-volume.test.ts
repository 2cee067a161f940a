import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { temporaryFolder, type Client } from '../helper.ts'
import { ServerProcess } from '../server-process.ts'
import { fillWithMessages, memoryOf, MESSAGES, peakDuring } from '../volume.ts'

// All lines are 300 MiB: whoever gathers them grows by more than that. How far a process grows besides depends on when its collector
// gets to run: less than 100 MiB on a quiet machine, more than 150 on a busy one.
const MAX_MIB = 250
const text = 'Where is my parcel, and when will it be here? '.repeat(27)
const none = { configs: 0, sessions: 0, messages: 0 }

t.setTimeout(900_000)

/** Writes an export into a file; gives its hash without the first line, which holds the time. */
async function save (client: Client, path: string): Promise<string> {
  const hash = createHash('sha256')
  let isPastHeader = false
  const hashed = new Transform({
    transform (chunk: Buffer, _encoding, done) {
      const from = isPastHeader ? 0 : chunk.indexOf('\n') + 1
      if (from > 0) isPastHeader = true
      if (isPastHeader) hash.update(chunk.subarray(from))
      done(null, chunk)
    }
  })
  const { body } = await client.fetch('/api/export')
  await pipeline(Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]), hashed, createWriteStream(path))
  return hash.digest('hex')
}

async function load (client: Client, key: string, path: string): Promise<unknown> {
  const response = await fetch(`${client.url}/api/import`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/x-ndjson' },
    body: Readable.toWeb(createReadStream(path)),
    duplex: 'half'
  })
  return await response.json()
}

t.test(`${MESSAGES} messages are exported in constant memory and imported elsewhere`, { skip: !existsSync('/proc/self/status') && 'needs /proc' }, async (t) => {
  const [folder, key] = [await temporaryFolder(t), newApiKey()]
  const [first, second] = [join(folder, 'first.ndjson'), join(folder, 'second.ndjson')]
  const env = { PORT: '0', NODE_ENV: 'production', BOOTSTRAP_API_KEY: key, RATE_LIMIT_PER_MINUTE: '0' }
  const rounded = ({ all, anonymous }: { all: number, anonymous: number }) => `${Math.round(all)} MiB, ${Math.round(anonymous)} of them its own`
  const seconds = (from: number) => Math.round((performance.now() - from) / 1000)

  // The store is in this process, so that the server's memory is the server's alone.
  const store = await startEmbeddedStore({ dataDir: join(folder, 'here') })
  t.teardown(async () => await store.close())
  const exporting = new ServerProcess(t, { ...env, DATA_DIR: folder, MONGODB_URI: store.uri })
  const client = await exporting.client(key)
  const mongo = new MongoClient(store.uri)
  await fillWithMessages(mongo.db('parley'), MESSAGES, text)
  await mongo.close()
  const before = await memoryOf(exporting.child.pid!)
  let started = performance.now()
  const { result: hash, ...peak } = await peakDuring(exporting.child.pid!, save(client, first))
  t.comment(`export in ${seconds(started)} s, from ${rounded(before)} to ${rounded(peak)}`)
  t.ok(peak.anonymous - before.anonymous < MAX_MIB, 'the exporting process hardly grows')
  await exporting.end()

  const importing = new ServerProcess(t, { ...env, DATA_DIR: join(folder, 'there') })
  const there = await importing.client(key)
  const empty = await memoryOf(importing.child.pid!)
  started = performance.now()
  const { result: report, ...grown } = await peakDuring(importing.child.pid!, load(there, key, first))
  t.match(report, { imported: { configs: 1, sessions: MESSAGES / 200 + 1, messages: MESSAGES }, skipped: none })
  t.comment(`import in ${seconds(started)} s, with the store within, from ${rounded(empty)} to ${rounded(grown)}`)
  await importing.end()

  // Else the search would index all that while it is exported, and its memory would be measured.
  const resting = await startEmbeddedStore({ dataDir: join(folder, 'there') })
  const looking = new MongoClient(resting.uri)
  await looking.db('parley').collection('sessions').updateMany({}, { $unset: { unindexed: '' } })
  await looking.close()
  await resting.close()
  const whole = new ServerProcess(t, { ...env, DATA_DIR: join(folder, 'there') })
  const both = await whole.client(key)
  const loaded = await memoryOf(whole.child.pid!)
  started = performance.now()
  const { result: again, ...within } = await peakDuring(whole.child.pid!, save(both, second))
  t.comment(`export in ${seconds(started)} s, with the store within, from ${rounded(loaded)} to ${rounded(within)}`)
  t.ok(within.anonymous - loaded.anonymous < MAX_MIB, 'nor does it with the store within')
  t.equal(again, hash, 'what was imported is exported as it was')
  await whole.end()
})
