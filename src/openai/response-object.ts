import { sameForAll, type OpenAiResponse, type ResponseItem } from '../../schemas/openai-response.ts'
import { type Usage } from '../llm/provider.ts'
import { type Asked } from '../store/asked.ts'
import { type Message } from '../store/message.ts'
import { seconds } from './chat-answer.ts'

/** What is known of a response at some moment. */
export interface ResponseState {
  readonly id: string
  readonly itemId: string
  readonly asked: Asked
  readonly isStored: boolean
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'cancelled' | 'failed'
  readonly text: string
  readonly createdAt: Date
  readonly endedAt?: Date | undefined
  readonly usage?: Usage | undefined
  readonly error?: { readonly code: string, readonly detail: string } | undefined
}

/** Names a response by where it is kept. */
export const responseId = (sessionId: string, messageId: string) => `resp_${sessionId}${messageId}`

/** Where a response is kept; undefined: it cannot be one that is. */
export function placeOf (id: string): { sessionId: string, messageId: string } | undefined {
  const [, sessionId, messageId] = /^resp_([0-9a-f]{24})([0-9a-f]{24})$/.exec(id) ?? []
  return sessionId !== undefined && messageId !== undefined ? { sessionId, messageId } : undefined
}

export const itemId = (messageId: string) => `msg_${messageId}`

export const isCutOff = (finishReason: string | undefined) => finishReason === 'length' || finishReason === 'model_length'

const statusOf: Readonly<Record<Message['status'], ResponseState['status']>> = {
  streaming: 'in_progress', completed: 'completed', stopped: 'cancelled', failed: 'failed', interrupted: 'failed', deleted: 'failed'
}

/** A stored reply as a response. `text`: what there is of it by now. */
export function stateOf (message: Message, asked: Asked, text = message.content): ResponseState {
  const { id, sessionId, timestamp, endedAt, usage, error, finishReason, status } = message
  return {
    id: responseId(sessionId, id),
    itemId: itemId(id),
    asked,
    isStored: true,
    status: status === 'completed' && isCutOff(finishReason) ? 'incomplete' : statusOf[status],
    text,
    createdAt: timestamp,
    endedAt,
    usage,
    error
  }
}

export function outputItem ({ itemId: id, status, text }: ResponseState): ResponseItem {
  return {
    id,
    type: 'message',
    status: status === 'in_progress' || status === 'completed' ? status : 'incomplete',
    role: 'assistant',
    content: [{ type: 'output_text', text, annotations: [], logprobs: [] }]
  }
}

/** Whether a response has a message: one that came to nothing has none. */
export const hasItem = ({ text, status }: ResponseState) => text !== '' || status === 'completed' || status === 'incomplete'

function usageOf ({ promptTokens, completionTokens, totalTokens, cachedTokens = 0 }: Usage): OpenAiResponse['usage'] {
  return {
    input_tokens: promptTokens,
    input_tokens_details: { cached_tokens: cachedTokens },
    output_tokens: completionTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: totalTokens
  }
}

export function presentResponse (state: ResponseState): OpenAiResponse {
  const { id, asked, isStored, status, createdAt, endedAt, usage, error } = state
  return {
    id,
    object: 'response',
    created_at: seconds(createdAt),
    completed_at: endedAt ? seconds(endedAt) : null,
    status,
    error: error ? { code: error.code === 'upstream_rate_limited' ? 'rate_limit_exceeded' : 'server_error', message: error.detail } : null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    model: asked.model,
    output: status !== 'in_progress' && hasItem(state) ? [outputItem(state)] : [],
    usage: usage && status !== 'in_progress' ? usageOf(usage) : null,
    previous_response_id: asked.previousId,
    instructions: asked.instructions,
    metadata: asked.metadata,
    user: asked.user,
    store: isStored,
    background: asked.background,
    max_output_tokens: asked.maxTokens,
    temperature: asked.temperature,
    top_p: asked.topP,
    text: { format: JSON.parse(asked.format) as unknown },
    ...sameForAll
  }
}
