import { deserialize, serialize, type Document } from 'bson'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { openTestStore } from './helper.ts'

const OP_MSG = 2013

function frame (opcode: number, body: Buffer, requestId = 7, length = body.length + 16): Buffer {
  const header = Buffer.alloc(16)
  header.writeInt32LE(length, 0)
  header.writeInt32LE(requestId, 4)
  header.writeInt32LE(opcode, 12)
  return Buffer.concat([header, body])
}

function flags (value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function section (document: Document): Buffer {
  return Buffer.concat([Buffer.from([0]), serialize(document)])
}

function sequence (name: string, documents: Document[]): Buffer {
  const content = Buffer.concat([Buffer.from(`${name}\0`), ...documents.map((document) => serialize(document))])
  const size = Buffer.alloc(4)
  size.writeInt32LE(content.length + 4)
  return Buffer.concat([Buffer.from([1]), size, content])
}

function command (document: Document, sequences: Buffer[] = [], flagBits = 0): Buffer {
  // The command's name has to come first.
  return frame(OP_MSG, Buffer.concat([flags(flagBits), section({ ...document, $db: 'test' }), ...sequences]))
}

/** Reads whole replies from a socket. */
class Client {
  readonly socket: Socket
  private bytes = Buffer.alloc(0)

  constructor (path: string) {
    this.socket = connect(path)
    this.socket.on('data', (chunk) => { this.bytes = Buffer.concat([this.bytes, chunk]) })
    this.socket.on('error', () => {})
  }

  async frame (): Promise<Buffer> {
    while (this.bytes.length < 4 || this.bytes.length < this.bytes.readInt32LE(0)) await once(this.socket, 'data')
    const size = this.bytes.readInt32LE(0)
    const reply = this.bytes.subarray(0, size)
    this.bytes = this.bytes.subarray(size)
    return reply
  }

  async reply (): Promise<Document> {
    return deserialize((await this.frame()).subarray(21))
  }

  async ask (bytes: Buffer): Promise<Document> {
    this.socket.write(bytes)
    return this.reply()
  }
}

t.test('commands arrive in pieces, several at once, with sequences and checksums', async (t) => {
  const { socketPath } = await openTestStore(t)
  const client = new Client(socketPath)
  const ping = command({ ping: 1 })
  for (const byte of ping) client.socket.write(Buffer.from([byte]))
  t.match(await client.reply(), { ok: 1 })
  client.socket.write(Buffer.concat([ping, ping, command({ nope: 1 })]))
  t.match(
    [await client.reply(), await client.reply(), await client.reply()],
    [{ ok: 1 }, { ok: 1 }, { ok: 0, code: 59, codeName: 'CommandNotFound' }]
  )
  t.match(
    await client.ask(command({ insert: 'c' }, [sequence('documents', [{ _id: 1 }, { _id: 2 }])])),
    { n: 2, ok: 1 }
  )
  t.match(
    await client.ask(command({ update: 'c' }, [sequence('updates', [{ q: { _id: 1 }, u: { $set: { a: 1 } } }])])),
    { n: 1, nModified: 1 }
  )
  t.match(await client.ask(command({ delete: 'c' }, [sequence('deletes', [{ q: {}, limit: 1 }])])), { n: 1 })
  const withChecksum = frame(OP_MSG, Buffer.concat([flags(1), section({ count: 'c', $db: 'test' }), Buffer.alloc(4)]))
  t.match(await client.ask(withChecksum), { n: 1 })
  client.socket.write(ping)
  const reply = await client.frame()
  t.equal(reply.readInt32LE(8), 7, 'the answer names the request')
  client.socket.destroy()
})

t.test('a message that wants no answer gets none, and is done', async (t) => {
  const { socketPath } = await openTestStore(t)
  const client = new Client(socketPath)
  client.socket.write(command({ insert: 'c', documents: [{ _id: 1 }], writeConcern: { w: 0 } }, [], 2))
  t.match(await client.ask(command({ count: 'c' })), { n: 1 })
  client.socket.destroy()
})

t.test('the legacy hello is answered as the legacy protocol has it; no other command is', async (t) => {
  const { socketPath } = await openTestStore(t)
  const client = new Client(socketPath)
  const query = (document: Document) => frame(
    2004,
    Buffer.concat([flags(0), Buffer.from('admin.$cmd\0'), flags(0), flags(0xffffffff), serialize(document)])
  )
  client.socket.write(query({ isMaster: 1, helloOk: true }))
  const reply = await client.frame()
  t.equal(reply.readInt32LE(12), 1, 'OP_REPLY')
  t.equal(reply.readInt32LE(32), 1, 'one document')
  t.match(deserialize(reply.subarray(36)), { ismaster: true, helloOk: true, ok: 1 })
  client.socket.write(query({ find: 'c' }))
  t.match(deserialize((await client.frame()).subarray(36)), { ok: 0, code: 352 })
  client.socket.destroy()
})

t.test('a malformed message ends its connection and no other', async (t) => {
  const { socketPath, store } = await openTestStore(t)
  const good = new Client(socketPath)
  t.match(await good.ask(command({ ping: 1 })), { ok: 1 })
  const body = section({ ping: 1, $db: 'test' })
  const cut = Buffer.from(body)
  cut.writeInt32LE(body.length + 50, 1)
  const broken = Buffer.from(body)
  broken[5] = 0x77
  const bad: Array<[string, Buffer]> = [
    ['length below a header', frame(OP_MSG, Buffer.alloc(4), 1, 3)],
    ['length above the limit', frame(OP_MSG, Buffer.alloc(4), 1, 48_000_001)],
    ['negative length', frame(OP_MSG, Buffer.alloc(4), 1, -5)],
    ['unknown opcode', frame(1234, Buffer.alloc(4))],
    ['unknown required flag', frame(OP_MSG, Buffer.concat([flags(4), body]))],
    ['no section', frame(OP_MSG, flags(0))],
    ['two bodies', frame(OP_MSG, Buffer.concat([flags(0), body, body]))],
    ['unknown kind of section', frame(OP_MSG, Buffer.concat([flags(0), Buffer.from([9]), body.subarray(1)]))],
    ['section longer than its message', frame(OP_MSG, Buffer.concat([flags(0), cut]))],
    ['no BSON', frame(OP_MSG, Buffer.concat([flags(0), broken]))],
    ['sequence without a name', frame(OP_MSG, Buffer.concat([flags(0), Buffer.from([1, 6, 0, 0, 0, 65, 65])]))],
    ['sequence cut short', frame(OP_MSG, Buffer.concat([flags(0), Buffer.from([1, 8, 0, 0, 0, 65, 0, 9, 9])]))],
    ['query without a name', frame(2004, Buffer.from([0, 0, 0, 0, 65]))]
  ]
  for (const [name, bytes] of bad) {
    const client = new Client(socketPath)
    client.socket.write(bytes)
    await once(client.socket, 'close')
    t.match(await good.ask(command({ ping: 1 })), { ok: 1 }, name)
  }
  t.equal(store.connections.size, 1)
  good.socket.destroy()
})

t.test('commands on a wrong or missing database and collection are refused', async (t) => {
  const { socketPath } = await openTestStore(t)
  const client = new Client(socketPath)
  t.match(await client.ask(frame(OP_MSG, Buffer.concat([flags(0), section({ ping: 1 })]))), { ok: 1 })
  t.match(await client.ask(command({ find: 5 })), { code: 73 })
  t.match(await client.ask(command({ constructor: 1 })), { code: 59 })
  t.match(
    await client.ask(command({ insert: 'c' }, [sequence('documents', [{ a: 1 }, { b: { c: { d: [] } } }])])),
    { n: 2 }
  )
  t.match(await client.ask(command({ getMore: 'x', collection: 'c' })), { code: 14 })
  client.socket.destroy()
})

t.test('a connection that ends takes its cursors with it', async (t) => {
  const { socketPath, store } = await openTestStore(t)
  const client = new Client(socketPath)
  await client.ask(command({ insert: 'c' }, [sequence('documents', [{ a: 1 }, { a: 2 }, { a: 3 }])]))
  await client.ask(command({ find: 'c', batchSize: 1 }))
  t.equal(store.cursors.size, 1)
  client.socket.destroy()
  while (store.cursors.size > 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal(store.connections.size, 0)
})

t.test('long reads and writes let others run, also others on the same connection wait their turn', async (t) => {
  const { socketPath, store, db } = await openTestStore(t)
  const things = db.collection('things')
  await things.insertMany(Array.from({ length: 4000 }, (_, n) => ({ n })))
  // Nothing matches, and finding that out takes tens of milliseconds.
  const slow = { $expr: { $gt: [{ $size: { $range: [0, 100] } }, 500] } }
  const order: string[] = []
  const client = new Client(socketPath)
  client.socket.write(command({ find: 'things', filter: slow }))
  while (store.opcounters.query === 0) await new Promise((resolve) => setImmediate(resolve))
  client.socket.write(command({ ping: 1 }))
  await Promise.all([
    client.reply().then((reply) => { order.push('cursor' in reply ? 'find' : 'ping') }).then(() => client.reply())
      .then((reply) => { order.push('cursor' in reply ? 'find' : 'ping') }),
    db.command({ ping: 1 }).then(() => order.unshift('another connection'))
  ])
  t.same(order, ['another connection', 'find', 'ping'])
  client.socket.destroy()
  const [counted, updated, deleted] = await Promise.all([
    db.command({ count: 'things', query: slow }),
    things.updateMany(slow, { $set: { a: 1 } }),
    things.deleteMany(slow)
  ])
  t.match([counted, updated, deleted], [{ n: 0 }, { matchedCount: 0 }, { deletedCount: 0 }])
})

t.test('an answer too large for a document is an error, not the end of the connection', async (t) => {
  const { db } = await openTestStore(t)
  const things = db.collection('things')
  for (let i = 0; i < 2; i++) await things.insertOne({ text: String(i).repeat(13_000_000) })
  await t.rejects(things.distinct('text'), { code: 17217 })
  t.match(await db.command({ ping: 1 }), { ok: 1 })
})
