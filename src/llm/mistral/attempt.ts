import { type Dispatcher, errors } from 'undici'
import { ApiError } from '../../errors.ts'
import { type Permit } from './admission/admission.ts'
import { type AnswerListener, type AnswerReader, type ReadAnswer } from './answer/answer-reader.ts'
import { type ContextLimit, readContextLimit } from './answer/context-limit.ts'
import { failureBeforeHead, failureInBody, failureOfStatus } from './answer/error-mapping.ts'
import { readBudget, readWait } from './answer/rate-limits.ts'
import { RefusalReader } from './answer/refusal-reader.ts'
import { type AttemptReport } from './attempt-report.ts'
import { type FailureFacts } from './failure-log.ts'
import { type DeadlineLimits, Deadlines } from './http/deadlines.ts'
import { HttpCall, type HttpListener, type ResponseHeaders, headerOf } from './http/http-call.ts'
import { type Failure } from './retry.ts'

/** Where attempts go, and on what terms. */
export interface Upstream {
  readonly pool: Dispatcher
  readonly headers: Readonly<Record<string, string>>
  readonly limits: DeadlineLimits
  readonly logFailure: (facts: FailureFacts) => void
}

/** How an attempt ended. */
export type Outcome<T> =
  | { readonly type: 'completed', readonly value: T }
  | { readonly type: 'failed', readonly failure: Failure, readonly contextLimit: ContextLimit | undefined }
  | { readonly type: 'aborted' }

export interface AttemptOptions<T> {
  readonly path: string
  /** The type of answer that is wanted. */
  readonly accept: string
  /** Besides those of all calls. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
  readonly read: ReadAnswer<T>
  /** Released when the attempt holds no connection any more. */
  readonly permit: Permit
  /** Its abort ends the attempt: with an `ApiError` as its failure, with anything else as aborted. */
  readonly signal: AbortSignal
  readonly onText?: (text: string) => void
}

/** One call of the model, from the request to the end of its answer. */
export class Attempt<T> implements HttpListener, AnswerListener<T> {
  readonly #upstream: Upstream
  readonly #options: AttemptOptions<T>
  readonly #call: HttpCall
  readonly #deadlines: Deadlines
  readonly #outcome = Promise.withResolvers<Outcome<T>>()
  readonly #started = performance.now()
  #head: FailureFacts['head']
  #reader: AnswerReader | undefined
  #msToHead: number | undefined
  #msToFirstText: number | undefined
  #unknownChunks = 0
  #isSent = false

  constructor (upstream: Upstream, options: AttemptOptions<T>) {
    this.#upstream = upstream
    this.#options = options
    this.#call = new HttpCall(this)
    this.#deadlines = new Deadlines(upstream.limits, (error) => this.#broken(error))
  }

  /** Sends the request and resolves when it has been answered, has failed or was aborted. */
  async run (): Promise<Outcome<T>> {
    const { pool, headers } = this.#upstream
    const { path, accept, body, signal, permit, headers: own } = this.#options
    if (signal.aborted) {
      permit.release()
      return { type: 'aborted' }
    }
    signal.addEventListener('abort', this.#abort)
    this.#call.post(pool, { path, headers: { ...headers, ...own, accept }, body })
    const outcome = await this.#outcome.promise
    signal.removeEventListener('abort', this.#abort)
    return outcome
  }

  /** What the attempt was like, when it is over. */
  measures (): Pick<AttemptReport, 'status' | 'msToHead' | 'msToFirstText' | 'msTotal' | 'unknownChunks'> {
    return {
      status: this.#head?.status,
      msToHead: this.#msToHead,
      msToFirstText: this.#msToFirstText,
      msTotal: this.#elapsed(),
      unknownChunks: this.#unknownChunks
    }
  }

  /** Whether the model may have worked: the request went out, and was not refused. */
  get mayHaveWorked (): boolean {
    const status = this.#head?.status ?? 200
    return this.#isSent && status >= 200 && status <= 299
  }

  sent (): void {
    this.#isSent = true
    this.#deadlines.awaitText()
  }

  head (status: number, headers: ResponseHeaders): void {
    this.#msToHead = this.#elapsed()
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
    this.#options.permit.release()
  }

  text (text: string): void {
    this.#msToFirstText ??= this.#elapsed()
    this.#deadlines.awaitNext()
    this.#options.onText?.(text)
  }

  alive (): void {
    this.#deadlines.awaitNext()
  }

  ignored (chunks: number): void {
    this.#unknownChunks += chunks
  }

  complete (value: T): void {
    this.#deadlines.clear()
    this.#call.drain()
    this.#outcome.resolve({ type: 'completed', value })
  }

  fail (error: ApiError, body = ''): void {
    this.#cancel()
    this.#upstream.logFailure({ error, head: this.#head, body })
    this.#outcome.resolve({
      type: 'failed',
      failure: {
        error,
        hintMs: this.#head && readWait(this.#head.headers, Date.now()),
        // The client is being closed.
        again: error.cause instanceof errors.ClientDestroyedError ? 'never' : undefined
      },
      contextLimit: error.code === 'upstream_rejected' ? readContextLimit(body) : undefined
    })
  }

  readonly #abort = (): void => {
    const reason: unknown = this.#options.signal.reason
    if (reason instanceof ApiError) return this.#broken(reason)
    this.#cancel()
    this.#outcome.resolve({ type: 'aborted' })
  }

  /** Closes the socket. Nothing more is heard from it. */
  #cancel (): void {
    this.#deadlines.clear()
    this.#call.cancel()
  }

  #readerOf (status: number, headers: ResponseHeaders): AnswerReader {
    if (status !== 429) this.#options.permit.passed(readBudget(headers))
    if (status < 200 || status > 299) return this.#refusal(failureOfStatus(status, headers, Date.now()))
    const encoding = headerOf(headers, 'content-encoding') ?? 'identity'
    if (encoding !== 'identity') {
      return this.#refusal(new ApiError('upstream_failed', { detail: 'The model sent a compressed answer, unasked.' }))
    }
    const reader = this.#options.read(headers, this)
    return reader instanceof ApiError ? this.#refusal(reader) : reader
  }

  #refusal (error: ApiError): AnswerReader {
    this.#deadlines.awaitRefusalBody()
    return new RefusalReader(error, this)
  }

  #broken (error: ApiError): void {
    if (this.#reader === undefined) this.fail(error)
    else this.#reader.broken(error)
  }

  #elapsed (): number {
    return performance.now() - this.#started
  }
}
