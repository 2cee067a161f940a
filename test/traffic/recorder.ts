import { randomBytes } from 'node:crypto'
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

/** One exchange, as it is kept. */
export interface Exchange {
  readonly method: string
  /** The path as the document has it; none where no route was found. */
  readonly path?: string
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly type?: string
  readonly body?: string
  /** Of a request that was taken. */
  readonly request?: {
    readonly type?: string
    readonly parts: Readonly<Record<'path' | 'query' | 'header', Readonly<Record<string, unknown>>>>
    readonly body?: unknown
  }
}

const MAX_BYTES = 64 * 1024
// More forms of one answer tell nothing new.
const MAX_FORMS = 30
const MAX_FAILURES = 2

/** What tells two values apart for a schema: the names and the types in them, not what they say. */
function formOf (value: unknown): string {
  if (Array.isArray(value)) return `[${[...new Set(value.map(formOf))].sort().join()}]`
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  return `{${Object.entries(value).map(([name, member]) => `${name}:${formOf(member)}`).sort().join()}}`
}

function formOfText (text: string, type = ''): string {
  if (type.startsWith('text/event-stream')) return [...new Set(text.match(/^event: .*$/gm))].join()
  if (!type.includes('json') || type.includes('ndjson')) return 'text'
  try {
    return formOf(JSON.parse(text))
  } catch {
    return 'broken'
  }
}

/** What was sent, as it was before it was compressed. */
function unpacked (bytes: Buffer, encoding: unknown): Buffer {
  return encoding === 'gzip' ? gunzipSync(bytes) : encoding === 'br' ? brotliDecompressSync(bytes) : bytes
}

/** The body that was taken: what came as bytes is JSON where it can be. */
function bodyOf ({ body }: FastifyRequest): unknown {
  if (!Buffer.isBuffer(body)) return typeof body === 'object' && body !== null && Symbol.asyncIterator in body ? undefined : body
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

/** Writes to a file of this process what goes in and out of apps, each form of it once. */
class Recorder {
  readonly #file: string
  readonly #seen = new Map<string, Set<string>>()
  readonly #tapped = new WeakSet<FastifyReply>()

  constructor (folder: string) {
    mkdirSync(folder, { recursive: true })
    this.#file = join(folder, `${process.pid}-${randomBytes(4).toString('hex')}.jsonl`)
  }

  /** Listens to what is written from now on. */
  readonly tap = (request: FastifyRequest, reply: FastifyReply): void => {
    if (this.#tapped.has(reply) || request.method === 'HEAD') return
    this.#tapped.add(reply)
    const { raw } = reply
    const chunks: Buffer[] = []
    let length = 0
    const take = (chunk: unknown) => {
      if (length >= MAX_BYTES || (typeof chunk !== 'string' && !(chunk instanceof Uint8Array))) return
      chunks.push(Buffer.from(chunk as string))
      length += chunks.at(-1)!.length
    }
    let isEnding = false
    for (const name of ['write', 'end'] as const) {
      const act = raw[name].bind(raw) as (...args: unknown[]) => never
      raw[name] = (...args: unknown[]) => {
        // Of an injected request, the end is written, too.
        if (!isEnding) take(args[0])
        isEnding ||= name === 'end'
        return act(...args)
      }
    }
    raw.once('close', () => {
      // Who left before the first word was told nothing.
      if (!raw.headersSent) return
      const body = length < MAX_BYTES ? unpacked(Buffer.concat(chunks), reply.getHeader('content-encoding')) : undefined
      this.#note(request, reply, body && body.length < MAX_BYTES ? body.toString() : undefined)
    })
  }

  #note (request: FastifyRequest, reply: FastifyReply, body: string | undefined): void {
    const { method, routeOptions: { url } } = request
    const status = reply.raw.statusCode
    const path = url?.replaceAll(/:(\w+)/g, '{$1}')
    const headers = Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]))
    const type = headers['content-type']
    const isTaken = status < 400
    const key = `${method} ${path} ${status} ${type}`
    const forms = this.#seen.get(key) ?? new Set()
    this.#seen.set(key, forms)
    if (forms.size >= (isTaken ? MAX_FORMS : MAX_FAILURES)) return
    const taken = isTaken && {
      request: {
        type: request.headers['content-type'],
        parts: { path: request.params as object, query: request.query as object, header: request.headers },
        body: bodyOf(request)
      }
    }
    const form = `${body === undefined ? 'long' : formOfText(body, type)} ${isTaken ? formOf([request.query, bodyOf(request)]) : ''}`
    if (forms.has(form)) return
    forms.add(form)
    const exchange = { method, path, status, headers, type, body: body === '' ? undefined : body, ...taken }
    appendFileSync(this.#file, `${JSON.stringify(exchange)}\n`)
  }
}

const recorders = new Map<string, Recorder>()

/** Keeps the traffic of this app in a folder, that which `CONTRACT_TRAFFIC` names, for `npm run check:traffic`. */
export function record (app: FastifyInstance, folder = process.env['CONTRACT_TRAFFIC']): void {
  if (!folder) return
  const recorder = recorders.get(folder) ?? new Recorder(folder)
  recorders.set(folder, recorder)
  const { tap } = recorder
  // What is refused early has the second alone, and what is streamed the first.
  app.addHook('preHandler', (request, reply, done) => {
    tap(request, reply)
    done()
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    tap(request, reply)
    done(null, payload)
  })
}
