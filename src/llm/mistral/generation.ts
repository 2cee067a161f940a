import { type EventEmitter } from 'node:events'
import { ApiError } from '../../errors.ts'
import { type CallTrace, type TraceCall } from '../call-trace.ts'
import { type GenerationEvent, type GenerationOptions, type GenerationRequest } from '../provider.ts'
import { estimateTokens, mostPromptTokens, NO_USAGE } from '../usage.ts'
import { type Admission, type Permit } from './admission/admission.ts'
import { type ModelState } from './admission/model-state.ts'
import { type Completion } from './answer/answer-reader.ts'
import { type ContextLimit, windowAfter } from './answer/context-limit.ts'
import { readStreamedCompletion, readWholeCompletion } from './answer/read-completion.ts'
import { finalUsage } from './answer/reported-usage.ts'
import { Attempt, type Outcome, type Upstream } from './attempt.ts'
import { type AttemptReport } from './attempt-report.ts'
import { EventQueue } from './event-queue.ts'
import { buildRequestBody } from './request/request-body.ts'
import { type Dialect } from './request/dialect.ts'
import { type Attempted, type RetryTerms, withRetries } from './retry.ts'

/** What all generations of a provider share. */
export interface GenerationContext {
  readonly upstream: Upstream
  /** Of the chat completions. */
  readonly path: string
  readonly admission: Admission
  readonly retry: RetryTerms
  readonly attempts: EventEmitter<{ attempt: [AttemptReport] }>
  /** Follows each call, where somebody wants that. */
  readonly traceCall: TraceCall | undefined
  /** Milliseconds for all of a generation: waiting, attempts and what is between them. */
  readonly timeoutMs: number
  readonly dialect: Dialect
  readonly defaultModel: string
}

/** Starts a generation and gives the iterator of its events. Leaving the iterator ends the call. */
export function startGeneration (
  context: GenerationContext, request: GenerationRequest, options: GenerationOptions
): AsyncIterator<GenerationEvent, undefined> {
  const generation = new Generation(context, request, options)
  void generation.run()
  return generation.events
}

class Generation {
  readonly events = new EventQueue<GenerationEvent>(() => this.#life.abort())
  readonly #context: GenerationContext
  readonly #request: GenerationRequest
  readonly #options: GenerationOptions
  readonly #model: string
  readonly #state: ModelState
  /** Aborted with what the reader is told when all must end, wherever it is. */
  readonly #life = new AbortController()
  /** Whether the model is asked for its text as it writes it. */
  #stream: boolean
  #windowTokens: number | undefined
  #body = ''
  #trimmed = false
  #withoutSchema: boolean
  /** Of the attempt that runs, or ran last. */
  #reply = ''
  /** Tokens that all attempts have taken. */
  #spent = 0

  constructor (context: GenerationContext, request: GenerationRequest, options: GenerationOptions) {
    this.#context = context
    this.#request = request
    this.#options = options
    this.#stream = options.stream
    this.#model = request.model.name ?? context.defaultModel
    this.#state = context.admission.modelState(this.#model)
    this.#withoutSchema = this.#state.refusesSchemas ?? false
  }

  /** Never rejects: every outcome is an end of the events. */
  async run (): Promise<void> {
    const { signal } = this.#options
    const { timeoutMs } = this.#context
    const stop = (): void => this.#life.abort(signal.reason)
    const total = setTimeout(() => this.#life.abort(tooLate()), timeoutMs)
    signal.addEventListener('abort', stop)
    try {
      signal.throwIfAborted()
      this.#end(await this.#complete(performance.now() + timeoutMs))
    } catch (error) {
      this.#giveOut()
      this.events.fail(error)
    } finally {
      clearTimeout(total)
      signal.removeEventListener('abort', stop)
    }
  }

  async #complete (deadline: number): Promise<Completion> {
    const { admission, retry } = this.#context
    this.#windowTokens = this.#state.windowTokens
    this.#body = this.#buildBody()
    const caller = { tenantId: this.#request.tenantId, model: this.#state, signal: this.#life.signal, deadline }
    return await withRetries(admission, retry, caller, async (permit, number) => await this.#attempt(permit, number))
  }

  #buildBody (): string {
    const windowTokens = this.#windowTokens
    const { dialect } = this.#context
    return buildRequestBody(this.#request, {
      dialect,
      model: this.#model,
      stream: this.#stream,
      withoutSchema: this.#withoutSchema,
      ...(windowTokens && { windowTokens })
    })
  }

  async #attempt (permit: Permit, number: number): Promise<Attempted<Completion>> {
    this.#reply = ''
    const { temperature, topP, maxTokens } = this.#request.model
    const trace = this.#context.traceCall?.({ model: this.#model, temperature, topP, maxTokens })
    const attempt = new Attempt(this.#context.upstream, {
      path: this.#context.path,
      ...(this.#stream
        ? { accept: 'text/event-stream', read: readStreamedCompletion }
        : { accept: 'application/json', read: readWholeCompletion }),
      ...(trace && { headers: trace.headers }),
      body: this.#body,
      permit,
      signal: this.#life.signal,
      onText: (text) => {
        this.#reply += text
        if (this.#options.stream) this.events.push({ type: 'text', text })
      }
    })
    const outcome = await attempt.run()
    this.#report(attempt, outcome, number, trace)
    if (outcome.type === 'completed') {
      if (this.#request.format && this.#withoutSchema) this.#state.refusesSchemas = true
      return { value: outcome.value }
    }
    if (outcome.type === 'aborted') throw this.#life.signal.reason
    const { failure, contextLimit } = outcome
    if (!this.#affordsAnother()) return { failure: { ...failure, again: 'never' } }
    if (this.#options.stream && this.#reply !== '') return { failure: { ...failure, again: 'never' } }
    if (failure.error.code === 'upstream_timeout' && !this.#stream) this.#askForStream()
    const mended = contextLimit ? this.#trim(contextLimit) : this.#askWithoutSchema(attempt.measures().status)
    return { failure: mended ? { ...failure, again: 'at once' } : failure }
  }

  /** Whether what all attempts may take is enough for one more. */
  #affordsAnother (): boolean {
    const { messages, model: { maxTokens = 0 } } = this.#request
    return this.#spent + mostPromptTokens(messages) + maxTokens <= (this.#options.budgetTokens ?? Infinity)
  }

  /** Asks for any JSON, once, where the schema may be what was refused. False: that cannot be it. */
  #askWithoutSchema (status: number | undefined): boolean {
    if (this.#request.format?.schema === undefined || this.#withoutSchema || (status !== 400 && status !== 422)) return false
    this.#withoutSchema = true
    this.#body = this.#buildBody()
    return true
  }

  /** A whole answer that does not come may be long or may never come. A stream shows which of the two. */
  #askForStream (): void {
    this.#stream = true
    this.#body = this.#buildBody()
  }

  /** Makes a smaller prompt, once. False: it has been tried, or there is nothing to leave out. */
  #trim (limit: ContextLimit): boolean {
    if (this.#trimmed) return false
    this.#trimmed = true
    this.#state.windowTokens = limit.windowTokens ?? this.#state.windowTokens
    const sent = this.#body
    this.#windowTokens = windowAfter(limit, estimateTokens(sent))
    this.#body = this.#buildBody()
    return this.#body !== sent
  }

  #report (attempt: Attempt<Completion>, outcome: Outcome<Completion>, number: number, trace: CallTrace | undefined): void {
    const { attempts } = this.#context
    const result = outcome.type === 'failed' ? outcome.failure.error.code : outcome.type
    const { model = this.#model, usage: reported } = outcome.type === 'completed' ? outcome.value : {}
    const usage = attempt.mayHaveWorked
      ? finalUsage({ model, reported, messages: this.#request.messages, reply: this.#reply })
      : NO_USAGE
    this.#spent += usage.totalTokens
    const measures = attempt.measures()
    this.#options.onAttempt?.({ model, outcome: result, usage, attempt: number, ms: measures.msTotal })
    const finishReason = outcome.type === 'completed' ? outcome.value.finishReason : undefined
    trace?.end({ model, outcome: result, status: measures.status, finishReason, usage })
    if (attempts.listenerCount('attempt') === 0) return
    attempts.emit('attempt', {
      model: this.#model,
      attempt: number,
      stream: this.#stream,
      outcome: result,
      usage: outcome.type === 'completed' ? outcome.value.usage : undefined,
      ...measures
    })
  }

  #end ({ finishReason, model = this.#model, usage: reported }: Completion): void {
    const usage = finalUsage({ model, reported, messages: this.#request.messages, reply: this.#reply })
    this.#giveOut()
    this.events.push({ type: 'end', finishReason, model, usage })
    this.events.end()
  }

  /** Who does not want the text as it is written gets what there is of it at the end. */
  #giveOut (): void {
    if (!this.#options.stream && this.#reply !== '') this.events.push({ type: 'text', text: this.#reply })
  }
}

function tooLate (): ApiError {
  return new ApiError('upstream_timeout', { detail: 'The model did not finish in time.' })
}
