import { hash } from 'node:crypto'
import { windowOf } from '../../models.ts'
import { type AnswerFormat, type GenerationRequest, type PromptMessage } from '../../provider.ts'
import { alternateRoles } from './alternation.ts'
import { fitToWindow } from './context-window.ts'
import { type Dialect } from './dialect.ts'
import { orderMessages } from './message-order.ts'
import { fitToolCallIds } from './tool-call-ids.ts'
import { wireMessage } from './wire-message.ts'

export interface BodyOptions {
  /** `mistral` if not given. */
  readonly dialect?: Dialect
  /** The model to ask for. */
  readonly model: string
  readonly stream: boolean
  /** Tokens of prompt and reply together; what is known of the model if not given. */
  readonly windowTokens?: number
  /** True: a schema that the answer is to fit is not sent, only that it is to be JSON. */
  readonly withoutSchema?: boolean
}

/**
 * The body of a chat completion. Mistral answers 422 to any key it does not know, so every key is named here, and an
 * absent setting is left out rather than sent as null. `top_p` is not sent with greedy sampling (temperature 0), which
 * refuses any value of it but 1. Throws `upstream_rejected` for messages that cannot be brought in order.
 */
export function buildRequestBody (request: GenerationRequest, options: BodyOptions): string {
  const { dialect = 'mistral', model, stream, windowTokens = windowOf(model), withoutSchema = false } = options
  const { messages, model: { temperature, topP, maxTokens, stop, seed, presencePenalty, frequencyPenalty }, sessionId, format } = request
  const fitting = fitToWindow(orderMessages(messages), { windowTokens, maxTokens })
  return JSON.stringify({
    model,
    messages: adapt(fitting, dialect).map((message) => wireMessage(message, dialect)),
    temperature,
    top_p: temperature === 0 ? undefined : topP,
    max_tokens: maxTokens,
    stop,
    [dialect === 'mistral' ? 'random_seed' : 'seed']: seed,
    presence_penalty: presencePenalty,
    frequency_penalty: frequencyPenalty,
    stream,
    response_format: format && responseFormat(format, withoutSchema),
    ...(dialect === 'mistral' && { prompt_cache_key: cacheKey(sessionId) }),
    // Mistral reports usage unasked, and refuses to be asked.
    ...(dialect === 'openai' && stream && { stream_options: { include_usage: true } })
  })
}

function adapt (messages: readonly PromptMessage[], dialect: Dialect): readonly PromptMessage[] {
  return dialect === 'mistral' ? fitToolCallIds(messages) : alternateRoles(messages)
}

function responseFormat ({ name, schema }: AnswerFormat, withoutSchema: boolean): object {
  return withoutSchema || schema === undefined ? { type: 'json_object' } : { type: 'json_schema', json_schema: { name, schema, strict: true } }
}

/** The same for all prompts of a session, which begin alike; nobody can tell the session from it. */
function cacheKey (sessionId: string): string {
  return hash('sha256', sessionId, 'base64url')
}
