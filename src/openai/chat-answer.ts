import { type ChatCompletion } from '../../schemas/openai-chat.ts'
import { type Usage } from '../llm/provider.ts'

/** What is the same in all that is told of an answer. */
export interface About {
  readonly id: string
  /** In seconds since 1970. */
  readonly created: number
  /** As it was named. */
  readonly model: string
}

/** How an answer ended. */
export interface Ended {
  readonly finishReason: string
  /** As it names itself. */
  readonly model: string | undefined
  readonly usage: Usage
}

export const seconds = (date: Date) => Math.floor(date.getTime() / 1000)

export function usageOf ({ promptTokens, completionTokens, totalTokens, cachedTokens = 0 }: Usage): ChatCompletion['usage'] {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: totalTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens }
  }
}

/** The reasons that clients of OpenAI know. */
const reasonOf = (reason: string) => reason === 'model_length' ? 'length' : reason

export function chatCompletion ({ id, created, model }: About, content: string, { finishReason, model: writer = model, usage }: Ended): ChatCompletion {
  return {
    id,
    object: 'chat.completion',
    created,
    model,
    choices: [{
      index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null, finish_reason: reasonOf(finishReason)
    }],
    usage: usageOf(usage),
    system_fingerprint: writer
  }
}

const data = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`

/** A failure on the way: OpenAI's clients throw it as an error. */
export const failureFrame = (body: object) => data(body)

/** The events of an answer. What is the same in all of them is written once. */
export class ChatChunks {
  readonly #about: string
  readonly #withUsage: boolean

  constructor ({ id, created, model }: About, withUsage: boolean) {
    const about = JSON.stringify({ id, object: 'chat.completion.chunk', created, model })
    this.#about = `data: ${about.slice(0, -1)},"system_fingerprint":`
    this.#withUsage = withUsage
  }

  begin (): string {
    return this.#frame('null', '[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]')
  }

  delta (text: string): string {
    return this.#frame('null', `[{"index":0,"delta":{"content":${JSON.stringify(text)}},"logprobs":null,"finish_reason":null}]`)
  }

  end ({ finishReason, model, usage }: Ended): string {
    const writer = JSON.stringify(model ?? null)
    const choice = `[{"index":0,"delta":{},"logprobs":null,"finish_reason":${JSON.stringify(reasonOf(finishReason))}}]`
    const last = this.#withUsage ? this.#frame(writer, '[]', JSON.stringify(usageOf(usage))) : ''
    return `${this.#frame(writer, choice)}${last}data: [DONE]\n\n`
  }

  #frame (writer: string, choices: string, usage = 'null'): string {
    return `${this.#about}${writer},"choices":${choices}${this.#withUsage ? `,"usage":${usage}` : ''}}\n\n`
  }
}
