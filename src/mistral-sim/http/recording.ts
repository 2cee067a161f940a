import { createHash } from 'node:crypto'
import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Socket } from 'node:net'
import { type Clock } from '../clock.ts'
import { type Problem } from '../validation/problem-text.ts'
import { type Fault } from '../faults/schema.ts'

/** One request and what became of it. Live: the later fields change until `msTotal` is set. */
export interface RequestRecord {
  /** From 1, in order of arrival. */
  seq: number
  /** When it came, in milliseconds of the simulator's clock. */
  t: number
  /** Empty, as the path, where a connection was reset before it sent a request. */
  method: string
  path: string
  query: string
  /** As received; of `authorization` only the scheme and a hash. */
  headers: Record<string, string>
  rawBody: string
  json: unknown
  schemaErrors: Problem[]
  status: number | null
  fault: Fault | null
  /** Bytes of the reply's body. */
  bytesSent: number
  /** Events of a stream without [DONE], or pieces of a plain body. */
  chunksSent: number
  /** The connection went away before the reply was complete. */
  aborted: boolean
  msToFirstByte: number | null
  msTotal: number | null
  /** The same for requests on one connection. */
  connectionId: number
}

const MAX_RECORDS = 1000
const MAX_RECORDED_BYTES = 64 * 1024 * 1024

/** A ring of the last requests, bounded in number and in size, and the requests that are being answered. */
export class Recording {
  readonly #records = new Set<RequestRecord>()
  readonly #open = new Set<RequestRecord>()
  readonly #connections = new WeakMap<Socket, number>()
  readonly #clock: Clock
  #waiting: Array<() => void> = []
  #bytes = 0
  #seq = 0
  #lastConnection = 0

  constructor (clock: Clock) {
    this.#clock = clock
  }

  /** Begins the record of a request and completes it when the response closes; only a kept one gets a number. */
  open (request: IncomingMessage, response: ServerResponse, path: string, query: string, keep: boolean): RequestRecord {
    const record: RequestRecord = {
      ...this.#blank(request.socket),
      seq: keep ? ++this.#seq : 0,
      method: request.method ?? '',
      path,
      query,
      headers: safeHeaders(request.headers)
    }
    if (!keep) return record
    this.#records.add(record)
    this.#makeRoom()
    this.#open.add(record)
    response.once('close', () => this.#finish(record, response))
    return record
  }

  /** Records a connection that was reset before it sent a request. */
  refused (socket: Socket, fault: Fault): void {
    const record = { ...this.#blank(socket), seq: ++this.#seq, fault, aborted: true, msTotal: 0 }
    this.#records.add(record)
    this.#makeRoom()
  }

  /** Sets what is known once the body is there. */
  setBody (record: RequestRecord, rawBody: string, json: unknown): void {
    record.rawBody = rawBody
    record.json = json
    if (!this.#records.has(record)) return
    this.#bytes += rawBody.length
    this.#makeRoom()
  }

  all (): readonly RequestRecord[] {
    return [...this.#records]
  }

  clear (): void {
    this.#records.clear()
    this.#bytes = 0
  }

  /** Clears, and numbers from one again. */
  restart (): void {
    this.clear()
    this.#seq = 0
  }

  /** Resolves when no kept request is being answered. */
  idle (): Promise<void> {
    return this.#open.size === 0 ? Promise.resolve() : new Promise((resolve) => { this.#waiting.push(resolve) })
  }

  #blank (socket: Socket): RequestRecord {
    return {
      seq: 0,
      t: this.#clock.now(),
      method: '',
      path: '',
      query: '',
      headers: {},
      rawBody: '',
      json: null,
      schemaErrors: [],
      status: null,
      fault: null,
      bytesSent: 0,
      chunksSent: 0,
      aborted: false,
      msToFirstByte: null,
      msTotal: null,
      connectionId: this.#connectionOf(socket)
    }
  }

  #finish (record: RequestRecord, response: ServerResponse): void {
    record.aborted = !response.writableFinished
    record.msTotal = this.#clock.now() - record.t
    this.#open.delete(record)
    if (this.#open.size > 0) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #connectionOf (socket: Socket): number {
    const id = this.#connections.get(socket) ?? ++this.#lastConnection
    this.#connections.set(socket, id)
    return id
  }

  #makeRoom (): void {
    for (const oldest of this.#records) {
      const roomy = this.#records.size <= MAX_RECORDS && this.#bytes <= MAX_RECORDED_BYTES
      if (roomy || this.#records.size === 1) return
      this.#records.delete(oldest)
      this.#bytes -= oldest.rawBody.length
    }
  }
}

/** Headers fit for keeping: the key is replaced by a short hash, which still tells two keys apart. */
export function safeHeaders (headers: IncomingHttpHeaders): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, String(value)] as const)
  return Object.fromEntries(entries.map(([name, value]) => [name, name === 'authorization' ? hashed(value) : value]))
}

function hashed (authorization: string): string {
  const [scheme = '', ...rest] = authorization.split(' ')
  if (rest.length === 0) return `sha256:${digest(scheme)}`
  return `${scheme} sha256:${digest(rest.join(' '))}`
}

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12)
