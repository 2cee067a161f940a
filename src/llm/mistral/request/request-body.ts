import { type GenerationRequest } from '../../provider.ts'
import { orderMessages } from './message-order.ts'

interface BodyOptions {
  /** The model to ask for. */
  readonly model: string
  readonly stream: boolean
}

/**
 * The body of a chat completion. Mistral answers 422 to any key it does not know, so every key is named here, and an
 * absent setting is left out rather than sent as null. `top_p` is never sent: greedy sampling (temperature 0) refuses
 * any value of it but 1, which is the default. Throws `upstream_rejected` for messages that cannot be brought in order.
 */
export function buildRequestBody (request: GenerationRequest, { model, stream }: BodyOptions): string {
  const { messages, model: settings } = request
  return JSON.stringify({
    model,
    messages: orderMessages(messages).map(({ role, content }) => ({ role, content })),
    temperature: settings.temperature,
    max_tokens: settings.maxTokens,
    stream
  })
}
