import { type ChatCompletion, type ChatCompletionInput } from '../../schemas/openai-chat.ts'
import { type Principal } from '../auth/principal.ts'
import { type Chat } from '../chat/chat.ts'
import { type FollowedMessage, goingDown, untilEnd } from '../chat/followed-message.ts'
import { type Telling } from '../chat/telling.ts'
import { ApiError } from '../errors.ts'
import { type ChatProvider } from '../llm/provider.ts'
import { estimateUsage } from '../llm/usage.ts'
import { type Chatbot } from '../store/chatbots.ts'
import { newId } from '../store/ids.ts'
import { type Message } from '../store/message.ts'
import { type About, ChatChunks, chatCompletion, type Ended, failureFrame, seconds } from './chat-answer.ts'
import { toOpenAi } from './errors.ts'
import { type Growing, untilBegun } from './growing.ts'
import { type Models } from './models.ts'
import { type ChatRequest, readChatRequest } from './request.ts'
import { type Sayable } from './sayable.ts'
import { type Writer } from './writer.ts'

interface Dependencies {
  readonly models: Models
  readonly chat: Chat
  readonly provider: ChatProvider
  readonly writer: Writer
  readonly sayable: Sayable
}

export interface CompletionOptions {
  /** The session that the message is sent to. Absent: nothing is stored. */
  readonly sessionId?: string
  readonly idempotencyKey?: string
  /** Aborted when the client has left: an answer that is not stored is not written any further. */
  readonly signal: AbortSignal
  /** Is told of the reply, where it is one of a session. */
  readonly onReply: (reply: FollowedMessage) => void
}

/** An answer on its way, wherever it is kept. */
interface Answer {
  readonly about: About
  readonly growing: Growing
  /** How it ended. Throws what it failed with. */
  readonly outcome: () => Ended
}

/** Conversations as OpenAI's chat completions: given whole with each request, or kept in a session. */
export class Completions {
  readonly #deps: Dependencies

  constructor (deps: Dependencies) {
    this.#deps = deps
  }

  /** The whole answer. */
  async complete (principal: Principal, input: ChatCompletionInput, options: CompletionOptions): Promise<ChatCompletion> {
    const { about, growing, outcome } = await this.#answer(principal, input, options, false)
    const ended = outcome()
    return chatCompletion(about, growing.text, ended)
  }

  /** The answer as it is written, from its first word on: what fails before that is thrown. */
  async stream (principal: Principal, input: ChatCompletionInput, options: CompletionOptions): Promise<Telling> {
    const { about, growing, outcome } = await this.#answer(principal, input, options, true)
    if (growing.ended) outcome()
    const chunks = new ChatChunks(about, input.stream_options?.include_usage ?? false)
    let frames = chunks.begin()
    let told = 0
    return {
      farewell: failureFrame(toOpenAi(goingDown()).body),
      subscribe: (listener) => growing.subscribe(listener),
      news () {
        const { text } = growing
        const news = text.length > told ? frames + chunks.delta(text.slice(told)) : frames
        frames = ''
        told = text.length
        return news
      },
      end () {
        if (!growing.ended && growing.failure === undefined) return undefined
        try {
          return chunks.end(outcome())
        } catch (error) {
          return failureFrame(toOpenAi(asApiError(error)).body)
        }
      }
    }
  }

  async #answer (principal: Principal, input: ChatCompletionInput, options: CompletionOptions, stream: boolean): Promise<Answer> {
    const { models, provider, writer } = this.#deps
    const chatbot = await models.find(principal, input.model)
    const request = readChatRequest(input, provider.isModel)
    const { sessionId } = options
    if (sessionId !== undefined) return await this.#send(principal, chatbot, input.model, request, { ...options, sessionId }, stream)
    const about = { id: `chatcmpl-${newId()}`, created: seconds(new Date()), model: input.model }
    const completion = await writer.write(principal, chatbot, request, { stream, signal: options.signal })
    return {
      about,
      growing: completion,
      outcome () {
        if (completion.failure) throw completion.failure
        return completion.finish!
      }
    }
  }

  /** Sends the last message of the user to a session. */
  async #send (
    principal: Principal, { id: configId }: Chatbot, model: string, { messages, sampling, format }: ChatRequest,
    { sessionId, idempotencyKey, onReply }: CompletionOptions & { sessionId: string }, stream: boolean
  ): Promise<Answer> {
    const { chat, sayable } = this.#deps
    const message = sayable.require(messages.findLast(({ role }) => role === 'user')!.content, 'messages')
    const system = messages.filter(({ role }) => role === 'system').map(({ content }) => content)
    const { reply, replayed } = await chat.send(principal, sessionId, { message }, {
      ...(idempotencyKey !== undefined && { idempotencyKey }),
      onBusy: 'queue',
      stream,
      wish: { configId, system, sampling, ...(format && { format }) }
    })
    if (!replayed) onReply(reply)
    if (stream) await untilBegun(reply, chat.closing)
    else await untilEnd(reply, chat.closing)
    const { id, timestamp } = reply.botMessage
    return { about: { id: `chatcmpl-${id}`, created: seconds(timestamp), model }, growing: reply, outcome: () => endOf(reply) }
  }
}

/** How a stored reply ended. Throws what it failed with. */
function endOf ({ botMessage, failure, cause }: FollowedMessage): Ended {
  if (failure) throw failure
  requireNoError(botMessage, cause)
  const { finishReason = 'stop', model, usage, content } = botMessage
  return { finishReason, model, usage: usage ?? estimateUsage([], content) }
}

/** Throws what a reply has failed with. */
export function requireNoError ({ error }: Message, cause: ApiError | undefined): void {
  if (error) throw new ApiError(error.code, { detail: error.detail, headers: cause?.headers ?? {} })
}

export function asApiError (error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError('internal', { cause: error })
}
