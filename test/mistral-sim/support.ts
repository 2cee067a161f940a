import { once } from 'node:events'
import { connect } from 'node:net'
import { type Test } from 'tap'
import { type Clock, type Sim, type SimOptions, startSim } from '../../src/mistral-sim/index.ts'

/** A simulator that ends with the test. */
export async function simFor (t: Test, options: SimOptions = {}): Promise<Sim> {
  const sim = await startSim(options)
  t.teardown(() => sim.close())
  return sim
}

/** Time that passes only when somebody waits: every wait moves it and is over at once. */
export class FastClock implements Clock {
  waits: number[] = []
  #now = 0

  now (): number {
    return this.#now
  }

  async wait (ms: number): Promise<void> {
    this.waits.push(ms)
    this.#now += ms
  }
}

/** Time that stands still until `tick`, which lets the wait of the moment end. */
export class SteppedClock implements Clock {
  #resume: (() => void) | undefined
  #arrived: (() => void) | undefined

  now (): number {
    return 0
  }

  wait (_ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve
      signal.addEventListener('abort', () => resolve())
      this.#arrived?.()
    })
  }

  /** Lets the wait end that is there, or the next one. */
  async tick (): Promise<void> {
    if (this.#resume === undefined) await new Promise<void>((resolve) => { this.#arrived = resolve })
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }
}

const HEADERS = { authorization: 'Bearer sim', 'content-type': 'application/json' }

/** What came back. */
export interface Reply {
  status: number
  headers: Headers
  text: string
  json: Json
}

/** Any JSON, to be looked into by a test. */
export interface Json { readonly [key: string | number]: Json }

/** Sends JSON, or a text as it is. */
export async function post (sim: Pick<Sim, 'url'>, path: string, body: unknown, headers: object = HEADERS): Promise<Reply> {
  const raw = typeof body === 'string' ? body : JSON.stringify(body)
  return reply(await fetch(sim.url + path, { method: 'POST', headers: { ...headers }, body: raw }))
}

/** Asks without a body. */
export async function ask (sim: Sim, method: string, path: string): Promise<Reply> {
  return reply(await fetch(sim.url + path, { method, headers: HEADERS }))
}

async function reply (response: Response): Promise<Reply> {
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
  return { status: response.status, headers: response.headers, text, json: (isJson ? tryParse(text) : null) as Json }
}

function tryParse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** A chat with one message of the user. */
export function chatBody (content: string, more: object = {}): object {
  return { model: 'mistral-small-latest', messages: [{ role: 'user', content }], ...more }
}

/** The data lines of a stream; those that are not JSON as text. */
export function eventsIn (text: string): Json[] {
  return [...text.matchAll(/^data: ?(.*?)\r?$/gm)].map(([, data = '']) => (tryParse(data) ?? data) as Json)
}

/** What a bare socket saw of a reply. */
export interface RawReply {
  bytes: Buffer
  text: string
  end: 'end' | 'reset'
}

/** The body of what a bare socket saw, without the framing of chunks. */
export function bodyOf ({ bytes }: RawReply): Buffer {
  const start = bytes.indexOf('\r\n\r\n')
  const body = start < 0 ? Buffer.alloc(0) : bytes.subarray(start + 4)
  return /^transfer-encoding: chunked/im.test(bytes.subarray(0, start).toString()) ? dechunked(body) : body
}

function dechunked (body: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let rest = body; rest.length > 0;) {
    const line = rest.indexOf('\r\n')
    const size = Number.parseInt(rest.subarray(0, line).toString(), 16)
    parts.push(rest.subarray(line + 2, line + 2 + size))
    rest = rest.subarray(line + 2 + size + 2)
  }
  return Buffer.concat(parts)
}

/** Posts over a bare socket and reads until the server ends or resets; `onData` may leave earlier. */
export function rawPost (
  sim: Sim, path: string, body: unknown, onData: (text: string, leave: () => void) => void = () => undefined,
  headers = ['connection: close']
): Promise<RawReply> {
  const json = JSON.stringify(body)
  const head = [`POST ${path} HTTP/1.1`, 'host: sim', 'authorization: Bearer sim', 'content-type: application/json',
    `content-length: ${Buffer.byteLength(json)}`, ...headers]
  return new Promise((resolve) => {
    const packets: Buffer[] = []
    const seen = (end: RawReply['end']): RawReply => {
      const bytes = Buffer.concat(packets)
      return { bytes, text: bytes.toString(), end }
    }
    const socket = connect(sim.port, '127.0.0.1', () => socket.write(`${head.join('\r\n')}\r\n\r\n${json}`))
    socket.on('data', (packet) => {
      packets.push(packet)
      onData(seen('end').text, () => socket.destroy())
    })
    socket.on('error', () => resolve(seen('reset')))
    socket.on('close', () => resolve(seen('end')))
  })
}

/** Sends so many requests at once on one connection and waits for all the replies. */
export async function pipeline (sim: Sim, count: number): Promise<void> {
  const get = (connection: string): string =>
    `GET /v1/models/none HTTP/1.1\r\nhost: sim\r\nconnection: ${connection}\r\n\r\n`
  const socket = connect(sim.port, '127.0.0.1', () => socket.write(get('keep-alive').repeat(count - 1) + get('close')))
  socket.resume()
  await once(socket, 'close')
}
