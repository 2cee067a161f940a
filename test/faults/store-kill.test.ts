import { MongoClient } from 'mongodb'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROUNDS = 15
const WRITERS = 16
t.setTimeout(180_000)
const main = fileURLToPath(new URL('../../src/embedded-mongo/main.ts', import.meta.url))

interface Thing {
  _id: number
  k: number
  version: number
  tags: number[]
}

async function startStore (dataDir: string) {
  const child = spawn(
    process.execPath,
    [main],
    { env: { ...process.env, DATA_DIR: dataDir, STORE_PORT: '' }, stdio: ['ignore', 'pipe', 'inherit'] }
  )
  const exited = once(child, 'exit')
  const [line] = await once(createInterface({ input: child.stdout }), 'line') as [string]
  const { uri } = JSON.parse(line) as { uri: string }
  return { child, exited, client: new MongoClient(uri, { serverSelectionTimeoutMS: 2000 }) }
}

t.test(`${ROUNDS} times kill -9 at a random moment: every acknowledged write is there, every index is whole`, async (t) => {
  const dataDir = t.testdir()
  /** The newest acknowledged version of each document; a write in flight may or may not have happened. */
  const acknowledged = new Map<number, number>()
  const deleted = new Set<number>()
  /** Deletes that were sent: one that was never acknowledged may have happened, too. */
  const deleting = new Set<number>()
  let nextId = 0

  for (let round = 0; round <= ROUNDS; round++) {
    const { child, exited, client } = await startStore(dataDir)
    const things = client.db('test').collection<Thing>('things')
    const stored = await things.find().hint({ $natural: 1 }).toArray()
    const versions = new Map(stored.map(({ _id, version }) => [_id, version]))
    const lost = [...acknowledged]
      .map(([id, version]) => ({ id, version, found: versions.get(id) }))
      .filter(({ id, version, found }) => found === undefined ? !deleting.has(id) : found < version)
    t.same(lost, [], `round ${round}: ${stored.length} documents`)
    t.same([...deleted].filter((id) => versions.has(id)), [], 'what was deleted stays deleted')
    if (round > 0) {
      const byKey = await things.find({ k: { $lte: 0 } }).hint('k_1').toArray()
      t.same(byKey.map(({ _id }) => _id).sort((a, b) => a - b), [...versions.keys()].sort((a, b) => a - b))
      const byTag = await things.find({ tags: { $gte: 0 } }).hint('tags_1').toArray()
      t.equal(byTag.length, stored.length)
      t.ok(stored.every(({ version, tags }) => tags[0] === version), 'a document is written whole')
    }
    if (round === ROUNDS) {
      await client.close()
      child.kill('SIGTERM')
      await exited
      break
    }

    await things.createIndex({ k: 1 }, { unique: true })
    await things.createIndex({ tags: 1 })
    const victimAfter = 50 + Math.floor(Math.random() * 1500)
    let writes = 0
    const done = () => { if (++writes === victimAfter) child.kill('SIGKILL') }
    const writers = Array.from({ length: WRITERS }, async () => {
      while (true) {
        const _id = nextId++
        await things.insertOne({ _id, k: -_id, version: 0, tags: [0, _id] })
        acknowledged.set(_id, 0)
        done()
        await things.updateOne({ _id }, { $inc: { version: 1, 'tags.0': 1 } })
        acknowledged.set(_id, 1)
        done()
        if (_id % 5 === 0) {
          deleting.add(_id)
          await things.deleteOne({ _id })
          deleted.add(_id)
          done()
        }
      }
    })
    await Promise.allSettled(writers)
    await client.close()
    await exited
  }
})
