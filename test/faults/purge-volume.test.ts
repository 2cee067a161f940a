import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MongoClient, ObjectId } from 'mongodb'
import t from 'tap'
import { newApiKey } from '../../src/auth/api-key.ts'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { type Client, temporaryFolder } from '../helper.ts'
import { ServerProcess } from '../server-process.ts'
import { fillWithMessages, MESSAGES } from '../volume.ts'

const P95_MS = 200
const READERS = 4

t.setTimeout(900_000)

const requests: Record<string, (client: Client, config: string, session: string) => Promise<{ status: number }>> = {
  'read a session': async (client, _, session) => await client.ask(`/api/sessions/${session}`),
  'read a history': async (client, _, session) => await client.ask(`/api/sessions/${session}/messages`),
  'list sessions': async (client) => await client.ask('/api/sessions'),
  'read a configuration': async (client, config) => await client.ask(`/api/configs/${config}`),
  send: async (client, _, session) => await client.ask(`/api/sessions/${session}/messages`, { body: { message: 'Where is my parcel?' } })
}

const at = (share: number, sorted: number[]) => Math.round(sorted[Math.floor(share * (sorted.length - 1))]! * 10) / 10

t.test(`${MESSAGES} messages are purged, and whoever calls no model hardly feels it`, async (t) => {
  const [dataDir, key] = [await temporaryFolder(t), newApiKey()]
  const env = { PORT: '0', DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, RATE_LIMIT_PER_MINUTE: '0' }
  const before = new ServerProcess(t, env)
  const client = await before.client(key)
  const config = await client.createConfig({ instructions: 'Parcels arrive on Mondays.' })
  const sessions: string[] = []
  for (let i = 0; i < READERS; i++) sessions.push(await client.createSession(config))
  await before.end()

  const store = await startEmbeddedStore({ dataDir })
  const seeding = new MongoClient(store.uri)
  const big = await fillWithMessages(seeding.db('parley'), MESSAGES)
  await seeding.close()
  await store.close()

  const server = new ServerProcess(t, env)
  const serving = await server.client(key)
  const mongo = new MongoClient(`mongodb://${encodeURIComponent(join(dataDir, 'mongodb.sock'))}/?directConnection=true`)
  t.teardown(async () => await mongo.close())
  const db = mongo.db('parley')
  const left = async () => await db.collection('messages').estimatedDocumentCount()
  t.equal(await left(), MESSAGES)

  t.equal((await serving.ask(`/api/configs/${big}`, { method: 'DELETE' })).status, 204)
  t.equal((await serving.ask<{ data: unknown[] }>('/api/sessions')).body.data.length, READERS, 'at once, nobody sees its sessions any more')
  const started = performance.now()
  const times: Record<string, number[]> = {}
  const load = { isWanted: true }
  const readers = sessions.map(async (session) => {
    while (load.isWanted) {
      for (const [name, request] of Object.entries(requests)) {
        const asked = performance.now()
        const { status } = await request(serving, config, session)
        if (status !== 200) t.fail(`${name}: ${status}`)
        ;(times[name] ??= []).push(performance.now() - asked)
      }
      await delay(50)
    }
  })
  const inFull = async () => await db.collection('configs').findOne({ _id: new ObjectId(big) }) === null
  while (!await inFull()) await delay(500)
  const seconds = (performance.now() - started) / 1000
  load.isWanted = false
  await Promise.all(readers)
  t.comment(`${MESSAGES} messages purged in ${Math.round(seconds)} s`)
  for (const [name, list] of Object.entries(times)) {
    const sorted = list.sort((a, b) => a - b)
    t.comment(`${name}: p50 ${at(0.5, sorted)}, p95 ${at(0.95, sorted)}, max ${at(1, sorted)} ms of ${list.length}`)
    t.ok(at(0.95, sorted) <= P95_MS, `${name}: p95`)
  }
  t.equal(await db.collection('messages').countDocuments({ configId: new ObjectId(big) }), 0)
  t.equal(await db.collection('sessions').countDocuments({ configId: new ObjectId(big) }), 0)
  t.equal((await server.end()).code, 0)
})
