import { ApiError } from '../../../errors.ts'
import { type PromptMessage, type ToolMessage } from '../../provider.ts'

const NO_RESULT = 'This call has no result.'
const BRIDGE: PromptMessage = { role: 'assistant', content: 'I see.' }

/**
 * Brings messages into the order Mistral accepts: all system text in one first message, no assistant message without
 * text or calls, every call followed by exactly one result, and the assistant between a result and the user. Throws
 * `upstream_rejected` when the last one is the assistant's: the model would refuse it, so it is not sent.
 */
export function orderMessages (messages: readonly PromptMessage[]): PromptMessage[] {
  const system = messages.filter(({ role, content }) => role === 'system' && content.trim() !== '')
  const dialogue = withBridges(withToolRounds(messages.filter(({ role }) => role !== 'system')))
  const last = dialogue.at(-1)?.role
  if (last !== 'user' && last !== 'tool') {
    throw new ApiError('upstream_rejected', { detail: 'The prompt does not end with a message of the user.' })
  }
  if (system.length === 0) return dialogue
  return [{ role: 'system', content: system.map(({ content }) => content).join('\n\n') }, ...dialogue]
}

/** Puts the next result of its id behind each call, and leaves out what answers no call. Walks from the end. */
function withToolRounds (dialogue: readonly PromptMessage[]): PromptMessage[] {
  const results = new Map<string, ToolMessage>()
  const reversed: PromptMessage[] = []
  for (const message of dialogue.toReversed()) {
    if (message.role === 'tool') {
      results.set(message.toolCallId, message)
    } else if (message.role === 'assistant') {
      // A second call of the same id could not be told from the first.
      const toolCalls = [...new Map(message.toolCalls?.map((call) => [call.id, call])).values()]
      for (const { id, name } of toolCalls.toReversed()) {
        reversed.push(results.get(id) ?? { role: 'tool', content: NO_RESULT, toolCallId: id, name })
        results.delete(id)
      }
      if (toolCalls.length > 0) reversed.push({ ...message, toolCalls })
      else if (message.content.trim() !== '') reversed.push({ role: 'assistant', content: message.content })
    } else {
      reversed.push(message)
    }
  }
  return reversed.reverse()
}

/** Mistral's servers have refused a user's message right after a tool's. */
function withBridges (dialogue: readonly PromptMessage[]): PromptMessage[] {
  return dialogue.flatMap((message, index) => {
    const isMissing = message.role === 'user' && dialogue[index - 1]?.role === 'tool'
    return isMissing ? [BRIDGE, message] : message
  })
}
