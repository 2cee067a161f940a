import { type PromptMessage } from '../../provider.ts'

/**
 * Makes user and assistant take turns, the user first: the templates of many models that vLLM and llama.cpp run accept
 * nothing else. Neighbours of one role are joined; replies to what is no longer in the prompt are left out. `messages`
 * are in order.
 */
export function alternateRoles (messages: readonly PromptMessage[]): PromptMessage[] {
  const begins = messages.findIndex(({ role }) => role === 'user')
  const alternating: PromptMessage[] = []
  for (const message of messages.filter(({ role }, index) => role === 'system' || index >= begins)) {
    const before = alternating.at(-1)
    if (before === undefined || !mayJoin(before, message)) alternating.push(message)
    else alternating[alternating.length - 1] = { ...message, content: joinTexts(before, message) }
  }
  return alternating
}

function joinTexts (...messages: PromptMessage[]): string {
  return messages.map(({ content }) => content).filter(Boolean).join('\n\n')
}

/** A call stays with its own text in front of its results, so only what comes before it can be joined to it. */
function mayJoin (before: PromptMessage, message: PromptMessage): boolean {
  if (before.role === 'user') return message.role === 'user'
  return before.role === 'assistant' && before.toolCalls === undefined && message.role === 'assistant'
}
