import { type PromptMessage, type ToolCall } from '../../provider.ts'
import { type Dialect } from './dialect.ts'

/** A message as the API wants it, with the keys of the dialect and no others. */
export function wireMessage (message: PromptMessage, dialect: Dialect): object {
  const { role, content } = message
  if (role === 'tool') {
    return { role, content, tool_call_id: message.toolCallId, ...(dialect === 'mistral' && { name: message.name }) }
  }
  if (role === 'assistant') return { role, content, tool_calls: message.toolCalls?.map(wireToolCall) }
  return { role, content }
}

function wireToolCall ({ id, name, arguments: json }: ToolCall): object {
  return { id, type: 'function', function: { name, arguments: json } }
}
