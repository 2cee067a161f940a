import { ApiError } from '../../errors.ts'
import { type GenerationEvent, type GenerationOptions, type GenerationRequest } from '../provider.ts'
import { type CallLimit } from './call-limit.ts'
import { type Completion } from './answer/answer-reader.ts'
import { CompletionAttempt, type Upstream } from './completion-attempt.ts'
import { EventQueue } from './event-queue.ts'
import { finalUsage } from './answer/reported-usage.ts'
import { buildRequestBody } from './request/request-body.ts'

/** What all generations of a provider share. */
export interface GenerationContext {
  readonly upstream: Upstream
  readonly calls: CallLimit
  readonly defaultModel: string
}

const RETRY_WHEN_FULL_SECONDS = '1'

/** Starts a generation and gives the iterator of its events. Leaving the iterator ends the call. */
export function startGeneration (
  context: GenerationContext, request: GenerationRequest, options: GenerationOptions
): AsyncIterator<GenerationEvent, undefined> {
  return new Generation(context, request, options).start()
}

class Generation {
  readonly #context: GenerationContext
  readonly #request: GenerationRequest
  readonly #options: GenerationOptions
  readonly #model: string
  readonly #events = new EventQueue<GenerationEvent>(() => this.#cancel())
  #attempt: CompletionAttempt | undefined
  #reply = ''

  constructor (context: GenerationContext, request: GenerationRequest, options: GenerationOptions) {
    this.#context = context
    this.#request = request
    this.#options = options
    this.#model = request.model.name ?? context.defaultModel
  }

  start (): AsyncIterator<GenerationEvent, undefined> {
    try {
      this.#options.signal.throwIfAborted()
      const body = buildRequestBody(this.#request, { model: this.#model, stream: this.#options.stream })
      if (!this.#context.calls.tryEnter()) throw tooManyCalls()
      this.#call(body)
    } catch (error) {
      this.#events.fail(error)
    }
    return this.#events
  }

  #call (body: string): void {
    this.#attempt = new CompletionAttempt(this.#context.upstream, this.#options.stream, {
      text: (text) => this.#text(text),
      complete: (completion) => this.#complete(completion),
      failed: (error) => this.#fail(error),
      closed: () => this.#context.calls.leave()
    })
    this.#options.signal.addEventListener('abort', this.#abort)
    this.#attempt.start(body)
  }

  #text (text: string): void {
    this.#reply += text
    this.#events.push({ type: 'text', text })
  }

  #complete ({ finishReason, model = this.#model, usage: reported }: Completion): void {
    const usage = finalUsage({ model, reported, messages: this.#request.messages, reply: this.#reply })
    this.#forgetSignal()
    this.#events.push({ type: 'end', finishReason, model, usage })
    this.#events.end()
  }

  #fail (error: unknown): void {
    this.#forgetSignal()
    this.#events.fail(error)
  }

  readonly #abort = (): void => {
    this.#cancel()
    this.#events.fail(this.#options.signal.reason)
  }

  #cancel (): void {
    this.#forgetSignal()
    this.#attempt?.cancel()
  }

  #forgetSignal (): void {
    this.#options.signal.removeEventListener('abort', this.#abort)
  }
}

function tooManyCalls (): ApiError {
  return new ApiError('overloaded', {
    detail: 'Too many calls of the model are waiting.',
    headers: { 'retry-after': RETRY_WHEN_FULL_SECONDS }
  })
}
