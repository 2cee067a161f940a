import { type Dispatcher } from 'undici'

export type ResponseHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** A header's value, the first one if it came several times. Names are lower case. */
export function headerOf (headers: ResponseHeaders, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.[0]
}

export interface PostRequest {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What a call tells. `closed` is the last of all and comes exactly once; the others only until `cancel` or `drain`. */
export interface HttpListener {
  /** A connection stands and the request is about to be written to it. */
  sent (): void
  head (status: number, headers: ResponseHeaders): void
  bytes (chunk: Buffer): void
  ended (): void
  broken (error: Error): void
  /** The pool is done with the request and its slot is free. */
  closed (): void
}

// An answer's last packet is mostly there already; what takes longer or is larger costs more than a new connection.
const DRAIN_MS = 1000
const DRAIN_BYTES = 64 * 1024

const cancelled = new Error('the call was cancelled')

/** One POST over undici's dispatch. Its own timeouts are off: deadlines belong to the caller. */
export class HttpCall implements Dispatcher.DispatchHandler {
  readonly #listener: HttpListener
  #controller: Dispatcher.DispatchController | undefined
  #drainTimer: NodeJS.Timeout | undefined
  #drained = 0
  #deaf = false
  #closed = false

  constructor (listener: HttpListener) {
    this.#listener = listener
  }

  /** May call the listener's `broken` and `closed` at once. */
  post (pool: Dispatcher, { path, headers, body }: PostRequest): void {
    pool.dispatch({ method: 'POST', path, headers, body, headersTimeout: 0, bodyTimeout: 0 }, this)
  }

  /** Ends the call where it stands and closes its socket. */
  cancel (): void {
    this.#deaf = true
    this.#controller?.abort(cancelled)
  }

  /** Lets the rest of the answer pass unread, so that its connection can serve again. */
  drain (): void {
    this.#deaf = true
    if (!this.#closed) this.#drainTimer = setTimeout(() => this.cancel(), DRAIN_MS).unref()
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    // Thrown rather than aborted: the connection it was to be written to stays for others.
    if (this.#deaf) throw cancelled
    this.#controller = controller
    this.#listener.sent()
  }

  onResponseStart (_: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
    // 1xx announce an answer, and are none.
    if (status >= 200 && !this.#deaf) this.#listener.head(status, headers)
  }

  onResponseData (_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#deaf) this.#listener.bytes(chunk)
    else if ((this.#drained += chunk.length) > DRAIN_BYTES) this.cancel()
  }

  onResponseEnd (): void {
    this.#closed = true
    if (!this.#deaf) this.#listener.ended()
    this.#close()
  }

  onResponseError (_: Dispatcher.DispatchController, error: Error): void {
    this.#closed = true
    if (!this.#deaf) this.#listener.broken(error)
    this.#close()
  }

  #close (): void {
    clearTimeout(this.#drainTimer)
    this.#listener.closed()
  }
}
