import { once } from 'node:events'
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import { type AddressInfo, type Socket, createServer as createSocketServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { type Test } from 'tap'
import { type ApiError } from '../../src/errors.ts'
import { type MistralOptions, type MistralProvider, createMistralProvider } from '../../src/llm/mistral/mistral-client.ts'
import { type ChatProvider, type GenerationEvent, type GenerationRequest } from '../../src/llm/provider.ts'

export const apiKey = 'secret-key-4711'

export interface Exchange {
  readonly request: IncomingMessage
  readonly body: string
  readonly response: ServerResponse
  /** Settles when the connection of this exchange is gone. */
  readonly disconnected: Promise<unknown>
}

export interface Upstream {
  readonly url: string
  readonly exchanges: Exchange[]
  /** How many connections were ever opened. */
  readonly accepted: () => number
  /** How many connections are open now. */
  readonly open: () => Promise<number>
}

/** A server on loopback that answers every request as the test says; it goes with the test. */
export async function startUpstream (t: Test, answer: (exchange: Exchange) => unknown): Promise<Upstream> {
  const exchanges: Exchange[] = []
  let accepted = 0
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const disconnected = new Promise((resolve) => request.socket.once('close', resolve))
    void text(request).then((body) => {
      const exchange = { request, body, response, disconnected }
      exchanges.push(exchange)
      return answer(exchange)
    })
  })
  server.on('connection', () => { accepted++ })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const open = (): Promise<number> => new Promise((resolve, reject) => {
    server.getConnections((error, count) => { if (error) reject(error); else resolve(count) })
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, exchanges, accepted: () => accepted, open }
}

export interface LogLine { facts: Record<string, unknown>, message: string }

export interface Client {
  readonly provider: MistralProvider
  readonly log: LogLine[]
}

/**
 * A provider with deadlines that no test meets by chance; it goes with the test. It makes one attempt, whatever came of
 * others: how it copes is tested by those who say so.
 */
export function connect (t: Test, baseUrl: string, options: Partial<MistralOptions> = {}): Client {
  const log: LogLine[] = []
  const provider = createMistralProvider({
    baseUrl,
    apiKey,
    defaultModel: 'mistral-small-latest',
    maxConcurrency: 4,
    firstTokenTimeoutMs: 20_000,
    idleTimeoutMs: 20_000,
    timeoutMs: 20_000,
    retry: { attempts: 1, baseMs: 1, limiterWindowMs: 2 },
    breaker: { failures: Infinity },
    logger: { warn: (facts, message) => { log.push({ facts: { ...facts }, message }) } },
    ...options
  })
  t.teardown(() => provider.close())
  return { provider, log }
}

/** A request with one user message. */
export function ask (content: string, model: GenerationRequest['model'] = {}): GenerationRequest {
  return { tenantId: 'acme', sessionId: 'session', messages: [{ role: 'user', content }], model, instructions: '', language: 'en' }
}

export interface Generated {
  readonly texts: string[]
  readonly end?: Extract<GenerationEvent, { type: 'end' }>
  readonly error?: unknown
}

/** Reads a generation to its end, whatever that is. */
export async function drain (events: AsyncIterable<GenerationEvent>): Promise<Generated> {
  const texts: string[] = []
  let end
  try {
    for await (const event of events) {
      if (event.type === 'text') texts.push(event.text)
      else end = event
    }
  } catch (error) {
    return { texts, error }
  }
  return { texts, end }
}

/** Asks and reads to the end. */
export async function talk (
  provider: ChatProvider, { stream = true, signal = new AbortController().signal } = {}
): Promise<Generated> {
  return drain(provider.generate(ask('Hi'), { stream, signal }))
}

/** The error's code, whatever was thrown. */
export function codeOf ({ error }: Generated): string | undefined {
  return (error as ApiError | undefined)?.code
}

/** One event of a stream. */
export function event (data: unknown): string {
  return `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
}

/** A chunk as Mistral sends it. */
export function chunk (content: unknown, finish: string | null = null, more: object = {}): object {
  return {
    id: '53190c7a6d0d4d5a9d1b2c3d4e5f6071',
    object: 'chat.completion.chunk',
    created: 1769088720,
    model: 'mistral-small-latest',
    choices: [{ index: 0, delta: { content }, finish_reason: finish, logprobs: null }],
    ...more
  }
}

/** A whole answer as Mistral sends it. */
export function completion (content: unknown, finish: unknown = 'stop', more: object = {}): object {
  return {
    id: '53190c7a6d0d4d5a9d1b2c3d4e5f6071',
    object: 'chat.completion',
    created: 1769088720,
    model: 'mistral-small-latest',
    choices: [{ index: 0, finish_reason: finish, message: { role: 'assistant', content, tool_calls: null } }],
    usage: { prompt_tokens: 1000, completion_tokens: 200, total_tokens: 1200 },
    ...more
  }
}

export const done = event('[DONE]')

/** Answers with a stream of the given bytes, one write each, and ends. */
export function streamOf (...writes: Array<string | Buffer>) {
  return ({ response }: Exchange): void => {
    response.setHeader('content-type', 'text/event-stream; charset=utf-8')
    for (const write of writes) response.write(write)
    response.end()
  }
}

/** Answers with a JSON document, or with the given text. */
export function bodyOf (body: unknown, status = 200, headers: Record<string, string> = {}) {
  return ({ response }: Exchange): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
}

/** A server below HTTP: gives every connection to the test, and goes with it. */
export async function startSockets (t: Test, answer: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createSocketServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    answer(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Begins a stream and leaves it open. */
export function begin (response: ServerResponse, ...events: object[]): void {
  response.setHeader('content-type', 'text/event-stream')
  response.write(events.map(event).join('') || ':\n\n')
}
