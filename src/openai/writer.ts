import { type Principal } from '../auth/principal.ts'
import { type Chat } from '../chat/chat.ts'
import { goingDown } from '../chat/followed-message.ts'
import { systemText } from '../chat/prompt.ts'
import { type AnswerFormat, type GenerationEvent, type GenerationRequest, type PromptMessage, type Sampling } from '../llm/provider.ts'
import { withSampling } from '../llm/sampling.ts'
import { type Chatbot } from '../store/chatbots.ts'
import { type Meter } from '../usage/metered.ts'
import { type Payer } from '../usage/payers.ts'
import { type Quotas } from '../usage/quotas.ts'
import { Completion } from './completion.ts'
import { untilBegun } from './growing.ts'
import { payerOf } from './payer.ts'

interface Dependencies {
  readonly chat: Chat
  readonly meter: Meter
  readonly quotas: Quotas
}

/** What is said to a chatbot, and how its reply is wanted. */
export interface Question {
  readonly messages: readonly PromptMessage[]
  readonly sampling: Sampling
  readonly format?: AnswerFormat
}

export interface WriteOptions {
  readonly stream: boolean
  /** Aborted when the client has left: then the reply is not written any further. */
  readonly signal: AbortSignal
}

/** Has a chatbot reply without storing anything but what that took. */
export class Writer {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** The reply when it has ended, or, as a stream, when there is text of it. Throws what the model failed with before that. */
  async write (principal: Principal, chatbot: Chatbot, question: Question, options: WriteOptions): Promise<Completion> {
    const { chat, quotas } = this.#deps
    const payer = await payerOf(principal, quotas)
    const completion = new Completion()
    const life = new AbortController()
    const { signal } = options
    if (signal.aborted) life.abort(signal.reason)
    // It lives as long as the request, so nobody has to stop listening.
    signal.addEventListener('abort', () => life.abort(signal.reason))
    const written = chat.outlast(
      async () => await completion.run(this.#begin(payer, chatbot, question, options.stream, life.signal)), () => life.abort(goingDown())
    )
    await (options.stream ? Promise.race([untilBegun(completion, chat.closing), written]) : written)
    if (completion.failure && !(options.stream && completion.text !== '')) throw completion.failure
    return completion
  }

  #begin (payer: Payer, chatbot: Chatbot, { messages, sampling, format }: Question, stream: boolean, signal: AbortSignal): AsyncIterable<GenerationEvent> {
    const { id: configId, model, fallback, instructions, tone: { language } } = chatbot
    const metered = this.#deps.meter({ ...payer, configId, purpose: 'reply' })
    const request: GenerationRequest = {
      tenantId: payer.tenantId,
      // Prompts of one chatbot begin alike.
      sessionId: configId,
      messages: [{ role: 'system', content: systemText(chatbot) }, ...messages],
      model: withSampling(model, sampling),
      ...(format && { format }),
      fallback,
      instructions,
      language
    }
    return metered.generate(request, { stream, signal })
  }
}
