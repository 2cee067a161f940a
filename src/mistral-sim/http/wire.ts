import { type ServerResponse } from 'node:http'
import { type Clock } from '../clock.ts'
import { type RequestRecord } from './recording.ts'

// A slow reply comes in so many writes a second.
const WRITES_PER_SEC = 10

/** The sending side of one exchange: every byte of a reply's body leaves here and is counted. */
export class Wire {
  /** Aborts when the connection is gone. */
  readonly signal: AbortSignal
  /** How fast the body is written. */
  bytesPerSec = Infinity
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

  /** Sends the beginning of a header block. */
  async halfHead (): Promise<void> {
    this.#firstByte()
    await this.#untilGone((resolve) =>
      this.#response.socket?.write('HTTP/1.1 200 OK\r\ncontent-ty', () => resolve()))
  }

  /** Sends bytes and waits until the socket has taken them; `chunks` of the reply are complete with them. */
  async write (bytes: Buffer, chunks: number): Promise<void> {
    const size = Math.min(bytes.length, Math.ceil(this.bytesPerSec / WRITES_PER_SEC))
    for (let start = 0; start < bytes.length && !this.signal.aborted; start += size) {
      const part = bytes.subarray(start, start + size)
      if (this.bytesPerSec < Infinity) await this.#clock.wait(1000 * part.length / this.bytesPerSec, this.signal)
      await this.#write(part, start + size < bytes.length ? 0 : chunks)
    }
  }

  /** Ends the reply, if the client is still there. */
  end (): void {
    if (!this.signal.aborted) this.#response.end()
  }

  /** Ends the reply and the connection with it. */
  hangUp (): void {
    const { socket } = this.#response
    if (!this.signal.aborted) this.#response.end(() => socket?.end())
  }

  /** Sends nothing more and waits until the client leaves. */
  async hang (): Promise<void> {
    await this.#untilGone(() => undefined)
  }

  /** Breaks the connection with a TCP reset. */
  reset (): void {
    this.#response.socket?.resetAndDestroy()
  }

  async #write (bytes: Buffer, chunks: number): Promise<void> {
    if (this.signal.aborted) return
    this.#record.bytesSent += bytes.length
    this.#record.chunksSent += chunks
    await this.#untilGone((resolve) => this.#response.write(bytes, () => resolve()))
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
