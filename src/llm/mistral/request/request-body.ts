import { createHash } from 'node:crypto'
import { type GenerationRequest } from '../../provider.ts'
import { type Dialect } from './dialect.ts'
import { orderMessages } from './message-order.ts'

export interface BodyOptions {
  /** `mistral` if not given. */
  readonly dialect?: Dialect
  /** The model to ask for. */
  readonly model: string
  readonly stream: boolean
  /** Tokens of prompt and reply together; what is known of the model if not given. */
  readonly windowTokens?: number
}

/**
 * The body of a chat completion. Mistral answers 422 to any key it does not know, so every key is named here, and an
 * absent setting is left out rather than sent as null. `top_p` is never sent: greedy sampling (temperature 0) refuses
 * any value of it but 1, which is the default. Throws `upstream_rejected` for messages that cannot be brought in order.
 */
export function buildRequestBody (request: GenerationRequest, options: BodyOptions): string {
  const { dialect = 'mistral', model, stream } = options
  const { messages, model: { temperature, maxTokens }, sessionId } = request
  return JSON.stringify({
    model,
    messages: orderMessages(messages).map(({ role, content }) => ({ role, content })),
    temperature,
    max_tokens: maxTokens,
    stream,
    ...(dialect === 'mistral' && { prompt_cache_key: cacheKey(sessionId) }),
    // Mistral reports usage unasked, and refuses to be asked.
    ...(dialect === 'openai' && stream && { stream_options: { include_usage: true } })
  })
}

/** The same for all prompts of a session, which begin alike; nobody can tell the session from it. */
function cacheKey (sessionId: string): string {
  return createHash('sha256').update(sessionId).digest('base64url')
}
