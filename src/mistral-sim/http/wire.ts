import { type ServerResponse } from 'node:http'
import { type Clock } from '../clock.ts'
import { type RequestRecord } from './recording.ts'

/** The sending side of one exchange: every byte of a reply's body leaves here and is counted. */
export class Wire {
  /** Aborts when the connection is gone. */
  readonly signal: AbortSignal
  readonly #response: ServerResponse
  readonly #record: RequestRecord
  readonly #clock: Clock

  constructor (response: ServerResponse, record: RequestRecord, clock: Clock) {
    this.#response = response
    this.#record = record
    this.#clock = clock
    const gone = new AbortController()
    this.signal = gone.signal
    response.once('close', () => gone.abort())
  }

  /** Sends status and headers at once. */
  head (status: number, headers: Record<string, string | number>): void {
    this.#record.status = status
    this.#firstByte()
    this.#response.writeHead(status, headers)
    this.#response.flushHeaders()
  }

  /** Sends bytes and waits until the socket has taken them; `chunks` of the reply are complete with them. */
  async write (bytes: Buffer, chunks: number): Promise<void> {
    if (this.signal.aborted) return
    this.#record.bytesSent += bytes.length
    this.#record.chunksSent += chunks
    await this.#untilGone((resolve) => this.#response.write(bytes, () => resolve()))
  }

  /** Sends a whole reply: a string as HTML, undefined as no body at all, everything else as JSON. */
  async send (status: number, body: unknown, headers: Record<string, string> = {}): Promise<void> {
    if (this.signal.aborted) return
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body) ?? '')
    this.head(status, {
      ...(body !== undefined && { 'content-type': typeof body === 'string' ? 'text/html' : 'application/json' }),
      'content-length': bytes.length,
      ...headers
    })
    if (bytes.length > 0) await this.write(bytes, 1)
    this.end()
  }

  /** Ends the reply, if the client is still there. */
  end (): void {
    if (!this.signal.aborted) this.#response.end()
  }

  /** Sends nothing more and waits until the client leaves. */
  async hang (): Promise<void> {
    await this.#untilGone(() => undefined)
  }

  /** Breaks the connection with a TCP reset. */
  reset (): void {
    this.#response.socket?.resetAndDestroy()
  }

  /** Sends the beginning of a header block, then resets. */
  async resetInHeaders (): Promise<void> {
    this.#firstByte()
    await this.#untilGone((resolve) =>
      this.#response.socket?.write('HTTP/1.1 200 OK\r\ncontent-ty', () => resolve()))
    this.reset()
  }

  #firstByte (): void {
    this.#record.msToFirstByte ??= this.#clock.now() - this.#record.t
  }

  async #untilGone (start: (resolve: () => void) => void): Promise<void> {
    if (this.signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.signal.removeEventListener('abort', done)
        resolve()
      }
      this.signal.addEventListener('abort', done)
      start(done)
    })
  }
}
