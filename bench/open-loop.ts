import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** What became of the requests that were due: latencies in milliseconds, by status, from the moment they were due. */
export type Outcome = Map<number, number[]>

const TICK_MS = 2

/** A connection with one request at a time. Of HTTP it knows what Parley's answers with a length need, and is cheap. */
class Connection {
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #answered: (status: number) => void = () => {}
  isOpen = true

  constructor (port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (chunk) => this.#take(chunk))
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => {
      this.isOpen = false
      this.#answer(0)
    })
  }

  ask (bytes: string, answered: (status: number) => void): void {
    this.#answered = answered
    this.#socket.write(bytes)
  }

  #take (chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    const end = this.#received.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = this.#received.toString('latin1', 0, end).toLowerCase()
    const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0)
    if (this.#received.length < end + 4 + length) return
    this.#received = Buffer.alloc(0)
    this.#answer(Number(head.slice(9, 12)))
  }

  #answer (status: number): void {
    const answered = this.#answered
    this.#answered = () => {}
    answered(status)
  }

  close (): void {
    this.#socket.destroy()
  }
}

/**
 * Sends `perSecond` requests a second for `seconds`, whether or not the earlier ones were answered: an open loop, as the world is.
 * Status 0: the connection broke. Undefined from `next` skips a request.
 */
export async function openLoop (port: number, perSecond: number, seconds: number, next: () => { bytes: string, over: () => void } | undefined): Promise<Outcome> {
  const idle: Connection[] = []
  const all = new Set<Connection>()
  const outcome: Outcome = new Map()
  let sent = 0
  const started = performance.now()
  const send = (due: number) => {
    const request = next()
    if (!request) return
    let connection = idle.pop()
    while (connection && !connection.isOpen) connection = idle.pop()
    connection ??= new Connection(port)
    const used = connection
    all.add(used)
    used.ask(request.bytes, (status) => {
      request.over()
      const latencies = outcome.get(status) ?? []
      outcome.set(status, latencies)
      latencies.push(performance.now() - due)
      if (status === 0) all.delete(used)
      else idle.push(used)
    })
  }
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed = performance.now() - started) {
    for (const due = elapsed * perSecond / 1000; sent < due; sent++) send(started + sent * 1000 / perSecond)
    await delay(TICK_MS)
  }
  for (let patience = 0; all.size > idle.length && patience < 1000; patience++) await delay(10)
  for (const connection of all) connection.close()
  return outcome
}
