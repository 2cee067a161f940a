import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { startEmbeddedStore } from '../../src/embedded-mongo/index.ts'
import { isStoreAway } from '../../src/store/store.ts'
import { temporaryFolder } from '../helper.ts'

t.test('a store that cannot be reached is away, whichever command finds that out', async (t) => {
  const dataDir = await temporaryFolder(t)
  const store = await startEmbeddedStore({ dataDir })
  let cuts = false
  // Between client and store; where told to, it cuts the line while a command is on its way.
  const cable = createServer((client) => {
    const server = connect(join(dataDir, 'mongodb.sock'))
    client.on('data', (chunk) => {
      if (!cuts || !chunk.includes('items')) server.write(chunk)
      else client.destroy()
    })
    server.on('data', (chunk) => client.write(chunk))
    client.on('close', () => server.destroy()).on('error', () => {})
    server.on('close', () => client.destroy()).on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(cable, 'listening')
  const uri = `mongodb://127.0.0.1:${(cable.address() as AddressInfo).port}/?directConnection=true`
  const client = await MongoClient.connect(uri, { serverSelectionTimeoutMS: 2000 })
  t.teardown(async () => {
    await client.close()
    cable.close()
  })
  const items = client.db('test').collection<{ _id: number, text?: string }>('items')
  const commands = {
    insertMany: async () => await items.insertMany([{ _id: 1 }, { _id: 2 }]),
    insertOne: async () => await items.insertOne({ _id: 1 }),
    bulkWriteOfOne: async () => await items.bulkWrite([{ insertOne: { document: { _id: 1 } } }]),
    bulkWriteOfAll: async () => await client.bulkWrite([{ name: 'insertOne', namespace: 'test.items', document: { _id: 1 as never } }]),
    // More than the line takes at once: the driver waits for it to drain.
    insertLarge: async () => await items.insertOne({ _id: 1, text: 'x'.repeat(4_000_000) }),
    find: async () => await items.find().toArray()
  }
  const failureOf = async (command: () => Promise<unknown>) => await command().then(() => undefined, (error: unknown) => error)
  await commands.insertMany()
  for (const name of ['insertMany', 'insertOne', 'bulkWriteOfOne', 'bulkWriteOfAll', 'insertLarge'] as const) {
    const failure = await failureOf(commands[name])
    t.ok(failure, name)
    t.notOk(isStoreAway(failure), `${name}: a refusal is an answer`)
  }
  // The driver keeps its connections to itself.
  const { topology } = client as unknown as { topology: { s: { servers: Map<string, { pool: { connections: { toArray (): Array<{ socket: Socket }> } } }> } } }
  for (const [name, command] of Object.entries(commands)) {
    await items.countDocuments()
    for (const { pool } of topology.s.servers.values()) for (const { socket } of pool.connections.toArray()) socket.destroy()
    const failure = await failureOf(command)
    // What only reads is tried again.
    t.ok(failure === undefined ? name === 'find' : isStoreAway(failure), `${name}, on a connection that is gone and has not said so yet`)
  }
  cuts = true
  for (const [name, command] of Object.entries(commands)) t.ok(isStoreAway(await failureOf(command)), `${name}, cut off`)
  await store.close()
  await Promise.all(Object.entries(commands).map(async ([name, command]) => t.ok(isStoreAway(await failureOf(command)), `${name}, nobody there`)))
})
