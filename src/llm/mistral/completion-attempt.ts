import { type Dispatcher } from 'undici'
import { ApiError } from '../../errors.ts'
import { type AnswerListener, type AnswerReader, type Completion } from './answer/answer-reader.ts'
import { type DeadlineLimits, Deadlines } from './http/deadlines.ts'
import { failureBeforeHead, failureInBody, failureOfStatus } from './answer/error-mapping.ts'
import { type FailureFacts } from './failure-log.ts'
import { HttpCall, type HttpListener, type ResponseHeaders, headerOf } from './http/http-call.ts'
import { RefusalReader } from './answer/refusal-reader.ts'
import { StreamReader } from './answer/stream-reader.ts'
import { WholeReader } from './answer/whole-reader.ts'

/** Where attempts go, and on what terms. */
export interface Upstream {
  readonly pool: Dispatcher
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly limits: DeadlineLimits
  readonly logFailure: (facts: FailureFacts) => void
}

/**
 * What an attempt tells: texts, then exactly one of `complete` and `failed`, unless it is cancelled. `closed` comes in
 * any case, last and once: the attempt holds nothing any more.
 */
export interface AttemptListener {
  text (text: string): void
  complete (completion: Completion): void
  failed (error: ApiError): void
  closed (): void
}

/** One call of the model, from the request to the end of its answer. */
export class CompletionAttempt implements HttpListener, AnswerListener {
  readonly #upstream: Upstream
  readonly #stream: boolean
  readonly #listener: AttemptListener
  readonly #call: HttpCall
  readonly #deadlines: Deadlines
  #head: FailureFacts['head']
  #reader: AnswerReader | undefined

  constructor (upstream: Upstream, stream: boolean, listener: AttemptListener) {
    this.#upstream = upstream
    this.#stream = stream
    this.#listener = listener
    this.#call = new HttpCall(this)
    this.#deadlines = new Deadlines(upstream.limits, (error) => this.#broken(error))
  }

  /** Sends the request; may tell a failure at once. */
  start (body: string): void {
    const { pool, path, headers } = this.#upstream
    const accept = this.#stream ? 'text/event-stream' : 'application/json'
    this.#call.post(pool, { path, headers: { ...headers, accept }, body })
  }

  /** Closes the socket. Nothing but `closed` is told any more. */
  cancel (): void {
    this.#deadlines.clear()
    this.#call.cancel()
  }

  sent (): void {
    // An answer in one piece has no first text before the whole: there the total is the only deadline.
    if (this.#stream) this.#deadlines.awaitText()
  }

  head (status: number, headers: ResponseHeaders): void {
    this.#head = { status, headers }
    this.#reader = this.#readerOf(status, headers)
  }

  bytes (chunk: Buffer): void {
    this.#reader?.bytes(chunk)
  }

  ended (): void {
    this.#reader?.ended()
  }

  broken (cause: Error): void {
    this.#broken(this.#reader === undefined ? failureBeforeHead(cause) : failureInBody(cause))
  }

  closed (): void {
    this.#listener.closed()
  }

  text (text: string): void {
    this.#deadlines.awaitNext()
    this.#listener.text(text)
  }

  alive (): void {
    this.#deadlines.awaitNext()
  }

  complete (completion: Completion): void {
    this.#deadlines.clear()
    this.#call.drain()
    this.#listener.complete(completion)
  }

  fail (error: ApiError, body = ''): void {
    this.cancel()
    this.#upstream.logFailure({ error, head: this.#head, body })
    this.#listener.failed(error)
  }

  #readerOf (status: number, headers: ResponseHeaders): AnswerReader {
    if (status < 200 || status > 299) return this.#refusal(failureOfStatus(status, headers, Date.now()))
    if (!this.#stream) return new WholeReader(this)
    if (headerOf(headers, 'content-type')?.toLowerCase().startsWith('text/event-stream')) return new StreamReader(this)
    return this.#refusal(new ApiError('upstream_failed', { detail: 'The model did not answer with a stream.' }))
  }

  #refusal (error: ApiError): AnswerReader {
    this.#deadlines.awaitRefusalBody()
    return new RefusalReader(error, this)
  }

  #broken (error: ApiError): void {
    if (this.#reader === undefined) this.fail(error)
    else this.#reader.broken(error)
  }
}
