import { Type, type Static } from '@sinclair/typebox'
import { anyObject, closed, maybe, nullish, oneOf } from './building-blocks.ts'
import { Guardrail } from './guardrails.ts'
import { Messages } from './messages.ts'
import { ToolChoice, Tools } from './tools.ts'

const stop = nullish(Type.Union([Type.String(), Type.Array(Type.String())]))
const count = nullish(Type.Integer({ minimum: 0 }))
const penalty = nullish(Type.Number({ minimum: -2, maximum: 2 }))

const sampling = {
  temperature: nullish(Type.Number({ minimum: 0, maximum: 1.5 })),
  top_p: nullish(Type.Number({ exclusiveMinimum: 0, maximum: 1 }))
}

const generation = {
  max_tokens: count,
  stream: maybe(Type.Boolean()),
  stop,
  random_seed: count,
  metadata: nullish(anyObject),
  prompt_cache_key: nullish(Type.String())
}

const JsonSchema = closed({
  name: Type.String(),
  description: nullish(Type.String()),
  schema: anyObject,
  strict: maybe(Type.Boolean())
})

const conversationFields = {
  ...generation,
  messages: Messages,
  response_format: maybe(closed({
    type: maybe(oneOf('text', 'json_object', 'json_schema')),
    json_schema: nullish(JsonSchema)
  })),
  tools: nullish(Tools),
  tool_choice: maybe(ToolChoice),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  n: nullish(Type.Integer({ minimum: 1 })),
  prediction: maybe(closed({ type: maybe(Type.Literal('content')), content: maybe(Type.String()) })),
  parallel_tool_calls: maybe(Type.Boolean()),
  reasoning_effort: nullish(oneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh')),
  prompt_mode: nullish(oneOf('reasoning')),
  guardrails: nullish(Type.Array(Guardrail)),
  service_tier: nullish(oneOf('auto', 'standard_only'))
}

/** POST /v1/chat/completions */
export const ChatCompletionRequest = closed({
  ...conversationFields, ...sampling, model: Type.String(), safe_prompt: maybe(Type.Boolean())
})

/** POST /v1/agents/completions */
export const AgentsCompletionRequest = closed({ ...conversationFields, agent_id: Type.String() })

/** POST /v1/fim/completions */
export const FimCompletionRequest = closed({
  ...generation,
  ...sampling,
  model: Type.String(),
  prompt: Type.String(),
  suffix: nullish(Type.String()),
  min_tokens: count
})

export type ChatCompletionRequest = Static<typeof ChatCompletionRequest>
export type AgentsCompletionRequest = Static<typeof AgentsCompletionRequest>
export type FimCompletionRequest = Static<typeof FimCompletionRequest>
