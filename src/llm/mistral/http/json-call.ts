import { type Dispatcher, errors } from 'undici'
import { ApiError } from '../../../errors.ts'
import { type Permit } from '../admission/admission.ts'
import { failureBeforeHead, failureInBody, failureNamedIn, failureOfStatus } from '../answer/error-mapping.ts'
import { isRecord } from '../answer/json-record.ts'
import { readBudget, readWait } from '../answer/rate-limits.ts'
import { type FailureFacts } from '../failure-log.ts'
import { type Attempted } from '../retry.ts'
import { type DeadlineLimits, Deadlines } from './deadlines.ts'
import { HttpCall, type HttpListener, type PostRequest, type ResponseHeaders } from './http-call.ts'

// 512 vectors of 4096 numbers, written out by a server that does not pack them.
const MAX_ANSWER_BYTES = 32 * 1024 * 1024
const MAX_REFUSAL_BYTES = 16 * 1024

/** Where calls go, and on what terms. */
export interface JsonUpstream {
  readonly pool: Dispatcher
  readonly limits: DeadlineLimits
  readonly logFailure: (facts: FailureFacts) => void
}

export interface JsonCallOptions<T> {
  readonly request: PostRequest
  /** Released when the call holds no connection any more. */
  readonly permit: Permit
  /** Its abort ends the call: with an `ApiError` as its failure, else it is thrown. */
  readonly signal: AbortSignal
  /** What the answer says. Throws `ApiError` for an answer that is not what it should be. */
  readonly read: (answer: Record<string, unknown>) => T
}

/** One POST that is answered with one JSON object. */
export class JsonCall<T> implements HttpListener {
  readonly #upstream: JsonUpstream
  readonly #options: JsonCallOptions<T>
  readonly #call = new HttpCall(this)
  readonly #deadlines: Deadlines
  readonly #outcome = Promise.withResolvers<Attempted<T>>()
  readonly #chunks: Buffer[] = []
  #size = 0
  #head: FailureFacts['head']
  /** What the status stands for, when it is not a good one. */
  #refusal: ApiError | undefined

  constructor (upstream: JsonUpstream, options: JsonCallOptions<T>) {
    this.#upstream = upstream
    this.#options = options
    this.#deadlines = new Deadlines(upstream.limits, (error) => this.#fail(error))
  }

  async run (): Promise<Attempted<T>> {
    const { request, signal, permit } = this.#options
    if (signal.aborted) {
      permit.release()
      throw signal.reason
    }
    signal.addEventListener('abort', this.#abort)
    this.#call.post(this.#upstream.pool, request)
    try {
      return await this.#outcome.promise
    } finally {
      signal.removeEventListener('abort', this.#abort)
    }
  }

  sent (): void {
    this.#deadlines.awaitText()
  }

  head (status: number, headers: ResponseHeaders): void {
    this.#head = { status, headers }
    if (status !== 429) this.#options.permit.passed(readBudget(headers))
    if (status >= 200 && status <= 299) return
    this.#refusal = failureOfStatus(status, headers, Date.now())
    this.#deadlines.awaitRefusalBody()
  }

  bytes (chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#refusal !== undefined) {
      if (this.#size > MAX_REFUSAL_BYTES) this.#fail(this.#refusal)
    } else if (this.#size > MAX_ANSWER_BYTES) {
      this.#fail(new ApiError('upstream_failed', { detail: 'The model sent an answer that is too large.' }))
    } else {
      this.#deadlines.awaitNext()
    }
  }

  ended (): void {
    if (this.#refusal !== undefined) return this.#fail(this.#refusal)
    try {
      const value = this.#options.read(parseAnswer(this.#body()))
      this.#deadlines.clear()
      this.#outcome.resolve({ value })
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      this.#fail(error)
    }
  }

  broken (cause: Error): void {
    this.#fail(this.#head === undefined ? failureBeforeHead(cause) : failureInBody(cause))
  }

  closed (): void {
    this.#options.permit.release()
  }

  readonly #abort = (): void => {
    const reason: unknown = this.#options.signal.reason
    if (reason instanceof ApiError) return this.#fail(reason)
    this.#cancel()
    this.#outcome.reject(reason)
  }

  /** A refusal is known by its status, whatever becomes of its body. */
  #fail (error: ApiError): void {
    this.#cancel()
    const failure = this.#refusal ?? error
    this.#upstream.logFailure({ error: failure, head: this.#head, body: this.#body() })
    this.#outcome.resolve({
      failure: {
        error: failure,
        hintMs: this.#head && readWait(this.#head.headers, Date.now()),
        // The client is being closed.
        again: error.cause instanceof errors.ClientDestroyedError ? 'never' : undefined
      }
    })
  }

  /** Closes the socket. Nothing more is heard from it. */
  #cancel (): void {
    this.#deadlines.clear()
    this.#call.cancel()
  }

  #body (): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }
}

/** Throws `upstream_failed` for what is not a JSON object, and what an error stands for that came with status 200. */
function parseAnswer (json: string): Record<string, unknown> {
  let answer: unknown
  try {
    answer = JSON.parse(json)
  } catch (cause) {
    throw new ApiError('upstream_failed', { detail: 'The model sent something that is not JSON.', cause })
  }
  if (isRecord(answer) && answer.error == null) return answer
  throw (isRecord(answer) && failureNamedIn(answer)) ||
    new ApiError('upstream_failed', { detail: 'The model sent something other than an answer.' })
}
