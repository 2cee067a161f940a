import { connectionFailure, failureOf } from './error.ts'
import { replies, type ReplyEvent, sessionFeeds, type SessionFeedEvent, tenantFeeds, type TenantFeedEvent, type Kind } from './events.ts'
import { follow, type Reconnection } from './following.ts'
import { type Client, type Config, createClient, createConfig } from './generated/client/index.js'
import { Operations } from './generated/sdk.gen.js'
import { type EditMessageData, type RegenerateMessageData, type SendMessageData } from './generated/types.gen.js'

export interface ParleyOptions {
  /** Where Parley is, such as `https://parley.example.org`. */
  readonly baseUrl: string
  /** An API key or a token; a function is asked before each request, so that a token can be a fresh one. */
  readonly credential?: string | (() => string | undefined | Promise<string | undefined>)
  /** Instead of the global one. */
  readonly fetch?: typeof fetch
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>>
  /** How streams go on after a break. */
  readonly reconnection?: Reconnection
}

/** Ends the stream with the reason of the signal. Leaving the loop ends it, too. */
interface Abortable {
  readonly signal?: AbortSignal
}

interface Resumable extends Abortable {
  /** Go on behind this event: its `id`. */
  readonly lastEventId?: string
}

type Sending<Data> = Omit<Data, 'url'> & Abortable

const defaults: Required<Reconnection> = { attempts: 8, delayMs: 500, maxDelayMs: 30_000, idleMs: 45_000 }

/** A key that nobody else has. `crypto.randomUUID` is not there on pages without TLS. */
const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')

function clientOf ({ baseUrl, credential, fetch, headers }: ParleyOptions): Client {
  const config: Config = {
    baseUrl,
    throwOnError: true,
    // Lines are sent as they are.
    bodySerializer: (body: unknown) => typeof body === 'string' ? body : JSON.stringify(body),
    // API keys are taken as bearer tokens, too.
    auth: async (auth) => auth.scheme !== 'bearer' ? undefined : typeof credential === 'function' ? await credential() : credential,
    ...(fetch && { fetch }),
    ...(headers && { headers })
  }
  const client = createClient(createConfig(config))
  client.interceptors.response.use((response, _request, options) => {
    // Texts, though their type does not begin with that.
    if (options.parseAs === 'auto' && /x-ndjson|yaml/.test(response.headers.get('content-type') ?? '')) options.parseAs = 'text'
    return response
  })
  client.interceptors.error.use((error, response, request) => {
    if (response && !response.ok) return failureOf(response, error)
    // What was aborted, and what was never sent, is the caller's own.
    return !request || request.signal.aborted ? error : connectionFailure(error)
  })
  return client
}

interface Request {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly url: string
  readonly path?: Record<string, string>
  readonly query?: Record<string, unknown>
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

const ofMessage = (id: string, messageId: string): Request => ({
  method: 'GET', url: '/api/sessions/{id}/messages/{messageId}/stream', path: { id, messageId }
})

/** All operations of a Parley server. Each resolves with the body of the answer, and rejects with a `ParleyError`. */
export class Parley extends Operations {
  readonly #reconnection: Required<Reconnection>

  constructor (options: ParleyOptions) {
    super({ client: clientOf(options) })
    this.#reconnection = { ...defaults, ...options.reconnection }
  }

  /**
   * Sends a message and tells the reply as it is written. It is sent when the first event is asked for, and once: with an
   * idempotency key, of its own unless there is one in `headers`. Whoever leaves does not stop the reply.
   */
  sendMessageStreamed ({ signal, ...send }: Sending<SendMessageData>): AsyncGenerator<ReplyEvent, void, undefined> {
    return this.#reply({ ...send, method: 'POST', url: '/api/sessions/{id}/messages' }, send.path.id, signal)
  }

  /** Says something else than an earlier message did, and tells the reply to it as it is written. */
  editMessageStreamed ({ signal, ...edit }: Sending<EditMessageData>): AsyncGenerator<ReplyEvent, void, undefined> {
    return this.#reply({ ...edit, method: 'PUT', url: '/api/sessions/{id}/messages/{messageId}' }, edit.path.id, signal)
  }

  /** Has another reply to the same message, and tells it as it is written. */
  regenerateMessageStreamed ({ signal, ...again }: Sending<RegenerateMessageData>): AsyncGenerator<ReplyEvent, void, undefined> {
    return this.#reply({ ...again, method: 'POST', url: '/api/sessions/{id}/messages/{messageId}/regenerate' }, again.path.id, signal)
  }

  /** The text of a message from its beginning, or behind an event, up to its end. */
  streamMessage ({ path: { id, messageId }, ...place }: { path: { id: string, messageId: string } } & Resumable): AsyncGenerator<ReplyEvent, void, undefined> {
    return this.#follow(() => ofMessage(id, messageId), replies, place)
  }

  /** What happens in a session, from now on or behind an event, until it is deleted. */
  followSession ({ path, ...place }: { path: { id: string } } & Resumable): AsyncGenerator<SessionFeedEvent, void, undefined> {
    return this.#follow(() => ({ method: 'GET', url: '/api/sessions/{id}/events', path }), sessionFeeds, place)
  }

  /** What happens in all sessions, from now on or behind an event, without the text of replies as it grows. For servers. */
  followTenant (
    { query, ...place }: { query?: { configId?: string, userId?: string, types?: ReadonlyArray<TenantFeedEvent['event']> } } & Resumable = {}
  ): AsyncGenerator<TenantFeedEvent, void, undefined> {
    const asked = { ...query, types: query?.types?.join(',') }
    return this.#follow(() => ({ method: 'GET', url: '/api/events', query: asked }), tenantFeeds, place)
  }

  /** A send until it has begun, and from then on the reply. */
  async * #reply (send: Request, id: string, signal?: AbortSignal): AsyncGenerator<ReplyEvent, void, undefined> {
    let request: Request = { ...send, headers: { 'idempotency-key': newKey(), ...send.headers } }
    for await (const event of this.#follow(() => request, replies, { signal })) {
      if (event.event === 'message.started') request = ofMessage(id, event.data.botMessage.id)
      yield event
    }
  }

  #follow<E extends { event: string, id?: string, data: unknown }> (request: () => Request, kind: Kind<E>, { signal, lastEventId }: Resumable) {
    const open = async (lastEventId: string | undefined, signal: AbortSignal) => {
      const { headers, ...rest } = request()
      return await this.client.request<ReadableStream<Uint8Array>, unknown, true, 'data'>({
        ...rest,
        headers: { ...headers, accept: 'text/event-stream', ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) },
        security: [{ scheme: 'bearer', type: 'http' }],
        parseAs: 'stream',
        responseStyle: 'data',
        throwOnError: true,
        signal
      })
    }
    return follow<E>({ open, kind, lastEventId, signal, reconnection: this.#reconnection })
  }
}
