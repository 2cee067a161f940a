import { Agent, type Dispatcher, errors } from 'undici'
import { guardedConnector } from './connector.ts'
import { Guard } from './guard.ts'
import { HostNames } from './host-names.ts'
import { type Networks } from './networks.ts'
import { OutgoingError, type OutgoingFailure } from './refusal.ts'

const TOTAL_MS = 15_000
const CHECK_MS = 1000
const MAX_ANSWER_BYTES = 1024
const MAX_ORIGINS = 5000
const KEEP_ALIVE_MS = 2000

export interface OutgoingPost {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Drops it. */
  readonly signal?: AbortSignal
}

/** What came of a request: an answer, of which the first KiB was read, or none. */
export type Outcome =
  | { readonly status: number, readonly retryAfter: string | undefined, readonly text: string }
  | { readonly status: null, readonly reason: OutgoingFailure, readonly detail: string }

interface OutgoingOptions {
  readonly networks: Networks
  /** Whether what goes to public addresses must be encrypted. */
  readonly needsTls: boolean
  /** Name servers in place of those that the system is set to. */
  readonly nameServers?: readonly string[] | undefined
  /** For everything, from the name to the end of the answer. */
  readonly totalMs?: number | undefined
}

/**
 * The one way to URLs that somebody else may set. It reaches public addresses only, and those of networks that the operator
 * has named; it never follows a redirect, and reads little of an answer.
 */
export class OutgoingHttp {
  readonly #names: HostNames
  readonly #guard: Guard
  readonly #agent: Agent
  readonly #totalMs: number

  constructor ({ networks, needsTls, nameServers, totalMs = TOTAL_MS }: OutgoingOptions) {
    this.#names = new HostNames(nameServers)
    this.#guard = new Guard({ names: this.#names, networks, needsTls })
    this.#totalMs = totalMs
    this.#agent = new Agent({
      connect: guardedConnector(this.#guard),
      // As many as are asked for: those of one owner that hang must not hold up others of the same host.
      connections: null,
      maxOrigins: MAX_ORIGINS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The time for all of it is one.
      headersTimeout: 0,
      bodyTimeout: 0
    })
  }

  /** Why a URL would be refused, in words. A host that is not known (yet) is not refused. */
  async objectionTo (text: string): Promise<string | undefined> {
    try {
      const url = this.#guard.url(text)
      await Promise.race([this.#guard.addressesOf(url), new Promise((resolve) => setTimeout(resolve, CHECK_MS).unref())])
      return undefined
    } catch (error) {
      const { reason, message } = error as OutgoingError
      return reason === 'refused' ? message : undefined
    }
  }

  /** Never rejects. */
  async post ({ url: text, headers, body, signal }: OutgoingPost): Promise<Outcome> {
    const ends = new AbortController()
    const timer = setTimeout(() => ends.abort(), this.#totalMs)
    const drop = () => ends.abort()
    signal?.addEventListener('abort', drop)
    // The client itself lets go of a request only when it is connected.
    const end = new Promise<never>((_resolve, reject) => { ends.signal.addEventListener('abort', () => { reject(ends.signal.reason as Error) }) })
    try {
      const { origin, pathname, search } = this.#guard.url(text)
      const asked = this.#agent.request({ origin, path: pathname + search, method: 'POST', headers, body, signal: ends.signal })
      const answer = await Promise.race([asked, end])
      const retryAfter = answer.headers['retry-after']
      return { status: answer.statusCode, retryAfter: [retryAfter].flat()[0], text: await beginningOf(answer) }
    } catch (error) {
      if (signal?.aborted) return failure('dropped', 'It was dropped.')
      if (ends.signal.aborted) return failure('timed_out', `There was no answer within ${this.#totalMs / 1000} s.`)
      return told(error)
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', drop)
    }
  }

  async close (): Promise<void> {
    this.#names.close()
    await this.#agent.destroy()
  }
}

/** The first KiB; the rest is not read. What breaks off has begun, at least. */
async function beginningOf ({ body }: Dispatcher.ResponseData): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      length += chunk.length
      if (length >= MAX_ANSWER_BYTES) break
    }
  } catch { /* The status counts. */ }
  const bytes = Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES)
  // Streaming, it leaves out a character that was cut in two.
  return new TextDecoder().decode(bytes, { stream: true })
}

const failure = (reason: OutgoingFailure, detail: string): Outcome => ({ status: null, reason, detail })

function told (error: unknown): Outcome {
  if (error instanceof OutgoingError) return failure(error.reason, error.message)
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (/^(ERR_TLS|ERR_SSL|CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|EPROTO)/.test(code)) return failure('tls_failed', `No secure connection could be made (${code}).`)
  if (error instanceof errors.ConnectTimeoutError || /^E(CONNREFUSED|HOSTUNREACH|NETUNREACH|HOSTDOWN|ADDRNOTAVAIL|TIMEDOUT)$/.test(code)) {
    return failure('unreachable', `No connection could be made (${code}).`)
  }
  return failure('broken', `The connection broke or what came was not HTTP${code === '' ? '' : ` (${code})`}.`)
}
