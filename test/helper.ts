import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { EventSourceParserStream, type EventSourceMessage } from 'eventsource-parser/stream'
import { type FastifyInstance } from 'fastify'
import { MongoClient, type Db } from 'mongodb'
import t, { type Test } from 'tap'
import { buildApp, type Overrides } from '../src/app.ts'
import { newApiKey, apiKeyPrefix, hashApiKey } from '../src/auth/api-key.ts'
import { ensureFirstKey } from '../src/auth/first-key.ts'
import { type Scope } from '../src/auth/principal.ts'
import { loadConfig } from '../src/config.ts'
import { startEmbeddedStore } from '../src/embedded-mongo/index.ts'
import { afterwards } from './all.ts'
import { record } from './traffic/recorder.ts'

/** A folder that is gone after the test. */
export async function temporaryFolder (test: Pick<Test, 'teardown'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-test-'))
  test.teardown(async () => await rm(folder, { recursive: true, force: true }))
  return folder
}

let sharedStore: Promise<string> | undefined

/** One store for all apps of a test file: the server at `MONGODB_URI`, or an embedded one of the file's own. */
export async function storeUri (): Promise<string> {
  sharedStore ??= (async () => {
    if (process.env['MONGODB_URI']) return process.env['MONGODB_URI']
    const dataDir = await mkdtemp(join(tmpdir(), 'parley-test-'))
    const store = await startEmbeddedStore({ dataDir })
    t.teardown(async () => {
      await store.close()
      await rm(dataDir, { recursive: true, force: true })
    })
    return store.uri
  })()
  return await sharedStore
}

/** A name that no other test uses. */
export const databaseName = () => `parley_test_${randomBytes(8).toString('hex')}`

export interface Answer<T = Record<string, unknown>> {
  readonly status: number
  readonly headers: Headers
  readonly body: T
}

export interface RequestOptions {
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

/** Talks to an app over a real socket. */
export class Client {
  readonly url: string
  readonly #headers: Record<string, string>

  constructor (url: string, headers: Record<string, string> = {}) {
    this.url = url
    this.#headers = headers
  }

  /** The same app as seen with other headers, such as another credential. */
  with (headers: Record<string, string>): Client {
    return new Client(this.url, headers)
  }

  async fetch (path: string, { method, body, headers, signal }: RequestOptions = {}): Promise<Response> {
    return await fetch(this.url + path, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { ...this.#headers, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal && { signal })
    })
  }

  /** Asks and reads the JSON of the answer; an empty answer reads as an empty object. */
  async ask<T = Record<string, unknown>> (path: string, options?: RequestOptions): Promise<Answer<T>> {
    const response = await this.fetch(path, options)
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as T }
  }

  /** Asks for server-sent events and hands them out as they come. */
  async events (path: string, options: RequestOptions = {}): Promise<{ response: Response, events: AsyncIterable<SentEvent> }> {
    const response = await this.fetch(path, { ...options, headers: { accept: 'text/event-stream', ...options.headers } })
    return { response, events: readEvents(response) }
  }

  /** Without the calls of the model that nobody has asked for. */
  async createConfig (input: Record<string, unknown> = {}): Promise<string> {
    const config = { purpose: 'Help.', titles: false, summaries: false, ...input }
    const { status, body } = await this.ask<{ id: string }>('/api/configs', { body: config })
    if (status !== 201) throw new Error(`no configuration: ${JSON.stringify(body)}`)
    return body.id
  }

  async createSession (configId: string, input: Record<string, unknown> = {}): Promise<string> {
    const { status, body } = await this.ask<{ id: string }>('/api/sessions', { body: { configId, ...input } })
    if (status !== 201) throw new Error(`no session: ${JSON.stringify(body)}`)
    return body.id
  }

  /** A session with a chatbot of its own. */
  async converse (input: Record<string, unknown> = {}): Promise<string> {
    return await this.createSession(await this.createConfig(input))
  }
}

export interface SentEvent {
  readonly event: string
  readonly id: string | undefined
  readonly data: Record<string, unknown>
}

/** Hands out the events of a response as they come. */
export async function * readEvents ({ body }: Pick<Response, 'body'>): AsyncIterable<SentEvent> {
  const stream = body!.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
  for await (const { event, id, data } of stream as unknown as AsyncIterable<EventSourceMessage>) {
    yield { event: event ?? 'message', id, data: JSON.parse(data) as Record<string, unknown> }
  }
}

/** All events of a stream, up to its end. */
export async function allOf (events: AsyncIterable<SentEvent>): Promise<SentEvent[]> {
  return await Array.fromAsync(events)
}

export interface TestApp {
  readonly app: FastifyInstance
  /** With an admin key of the tenant `default`. */
  readonly client: Client
  readonly adminKey: string
  /** The database of this app, for looking at what is stored. */
  readonly db: Db
  /** A client with a fresh API key. */
  readonly clientFor: (tenantId: string, ...scopes: Scope[]) => Promise<Client>
}

/** The real app, listening on a free port of the loopback address, on a database of its own. */
export async function startApp (test: Pick<Test, 'teardown'>, env: Record<string, string> = {}, overrides: Overrides = {}): Promise<TestApp> {
  const adminKey = env['BOOTSTRAP_API_KEY'] ?? newApiKey()
  const uri = await storeUri()
  const database = env['MONGODB_DATABASE'] ?? databaseName()
  const config = loadConfig({
    BOOTSTRAP_API_KEY: adminKey,
    RATE_LIMIT_PER_MINUTE: '0',
    DATA_DIR: await temporaryFolder(test),
    MONGODB_URI: uri,
    MONGODB_DATABASE: database,
    ...env
  })
  const app = await buildApp(config, overrides)
  // With another limit, an app has another document.
  if (env['MAX_MESSAGE_CHARS'] === undefined) record(app)
  await ensureFirstKey(config, app.store.apiKeys)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const mongo = new MongoClient(uri)
  const db = mongo.db(database)
  afterwards(test, async () => {
    // Else the server gives those who are still there time to leave.
    app.server.closeAllConnections()
    await app.close()
    await db.dropDatabase()
    await mongo.close()
  })
  const withKey = (key: string) => new Client(url, { 'x-api-key': key })
  return {
    app,
    client: withKey(adminKey),
    adminKey,
    db,
    async clientFor (tenantId, ...scopes) {
      const key = newApiKey()
      const record = { prefix: apiKeyPrefix(key)!, tenantId, name: 'test', scopes, createdAt: new Date() }
      await app.store.apiKeys.upsert(record, hashApiKey(key))
      return withKey(key)
    }
  }
}
