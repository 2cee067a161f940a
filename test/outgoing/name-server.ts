import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type Test } from 'tap'

const A = 1

/** A name server on this machine: `answers` gives the IPv4 addresses of a name, each time that it is asked; undefined: it says nothing. */
export async function startNameServer (test: Test, answers: (name: string) => string[] | undefined): Promise<{ address: string, asked: string[] }> {
  const asked: string[] = []
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const labels: string[] = []
    let at = 12
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const question = query.subarray(12, at + 5)
    const isForA = query.readUInt16BE(at + 1) === A
    const addresses = isForA ? answers(labels.join('.')) : []
    if (isForA) asked.push(labels.join('.'))
    if (!addresses) return
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(addresses.length, 6)
    // The name of the question, type A, class IN, not to be kept.
    const records = addresses.map((one) => Buffer.from([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 0, 0, 4, ...one.split('.').map(Number)]))
    socket.send(Buffer.concat([header, question, ...records]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  test.teardown(() => { socket.close() })
  return { address: `127.0.0.1:${(socket.address()).port}`, asked }
}
