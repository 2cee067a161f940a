import { Type, type Static } from '@sinclair/typebox'
import { anyObject, closed, maybe, nullish, tagged } from './building-blocks.ts'
import { ContentChunks, SystemChunks } from './content.ts'

const SystemMessage = closed({
  role: Type.Literal('system'),
  content: Type.Union([Type.String(), SystemChunks])
})

const UserMessage = closed({
  role: Type.Literal('user'),
  content: Type.Union([Type.String(), Type.Null(), ContentChunks])
})

const ToolCall = closed({
  id: maybe(Type.String()),
  type: maybe(Type.Literal('function')),
  function: closed({ name: Type.String(), arguments: Type.Union([anyObject, Type.String()]) }),
  index: maybe(Type.Integer())
})

const AssistantMessage = closed({
  role: Type.Literal('assistant'),
  content: maybe(Type.Union([Type.String(), Type.Null(), ContentChunks])),
  tool_calls: nullish(Type.Array(ToolCall)),
  prefix: maybe(Type.Boolean())
})

const ToolMessage = closed({
  role: Type.Literal('tool'),
  content: Type.Union([Type.String(), Type.Null(), ContentChunks]),
  tool_call_id: nullish(Type.String()),
  name: nullish(Type.String())
})

/** The `messages` of a chat request. An empty list passes here and fails the message rules, as at the API. */
export const Messages = Type.Array(tagged('role', [SystemMessage, UserMessage, AssistantMessage, ToolMessage]))

/** One message of any role. */
export type Message = Static<typeof Messages>[number]
/** A message of the assistant, as replayed by a client. */
export type AssistantMessage = Static<typeof AssistantMessage>
