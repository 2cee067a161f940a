import { type PromptMessage } from '../llm/provider.ts'
import { estimateTokens } from '../llm/usage.ts'

export interface Budget {
  readonly messages: number
  readonly tokens: number
}

// The rest of the window is for the instructions, the new message and its reply.
const SHARE_OF_WINDOW = 0.5

/** How much of earlier messages a prompt holds. `windowTokens`: prompt and reply together. */
export function contextBudget (historyLimit: number, windowTokens: number): Budget {
  return { messages: historyLimit, tokens: windowTokens * SHARE_OF_WINDOW }
}

/** Whether messages come up to a budget, so that it may hold no more of them. */
export function fills (messages: ReadonlyArray<Pick<PromptMessage, 'content'>>, budget: Budget): boolean {
  return messages.length >= budget.messages ||
    messages.reduce((sum, { content }) => sum + estimateTokens(content), 0) > budget.tokens
}
