import { Type, type Static } from '@sinclair/typebox'
import { anyObject, closed, nullish, oneOf } from './building-blocks.ts'
import { Guardrail } from './guardrails.ts'

// The simulator keeps no conversations: of an entry only the role and the text are read, the rest passes as it is.
const Entry = Type.Object({
  role: Type.Optional(Type.String()),
  content: Type.Optional(Type.Unknown())
})

/** POST /v1/conversations. `completion_args` and `tools` are not looked into. */
export const ConversationRequest = closed({
  inputs: Type.Union([Type.String(), Type.Array(Entry)]),
  stream: nullish(Type.Boolean()),
  store: nullish(Type.Boolean()),
  handoff_execution: nullish(oneOf('client', 'server')),
  instructions: nullish(Type.String()),
  tools: nullish(Type.Array(anyObject)),
  completion_args: nullish(anyObject),
  guardrails: nullish(Type.Array(Guardrail)),
  name: nullish(Type.String()),
  description: nullish(Type.String()),
  metadata: nullish(anyObject),
  agent_id: nullish(Type.String()),
  agent_version: nullish(Type.Union([Type.String(), Type.Integer()])),
  model: nullish(Type.String())
})

export type ConversationRequest = Static<typeof ConversationRequest>
