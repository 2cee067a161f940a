import { type PromptMessage, type Usage } from './provider.ts'

// What a message costs beyond its text: the marks of its role.
const TOKENS_PER_MESSAGE = 4
const BYTES_PER_TOKEN = 4

/** Usage of a generation whose model reported none: a token is taken as four bytes of UTF-8. */
export function estimateUsage (messages: readonly PromptMessage[], reply: string): Usage {
  const promptTokens = messages.reduce((sum, message) => sum + estimateMessageTokens(message), 0)
  const completionTokens = estimateTokens(reply)
  return { promptTokens, completionTokens, totalTokens: promptTokens + completionTokens, estimated: true }
}

// A text of two bytes a token is denser than what people write, in any script.
const DENSEST = 2

/** Tokens that a prompt has at the very most. */
export function mostPromptTokens (messages: readonly PromptMessage[]): number {
  return DENSEST * estimateUsage(messages, '').promptTokens
}

/** Nothing was asked of a model. */
export const NO_USAGE: Usage = { promptTokens: 0, completionTokens: 0, totalTokens: 0 }

/** Tokens of a message within a prompt, calls of tools included. */
export function estimateMessageTokens (message: PromptMessage): number {
  const calls = message.role === 'assistant' ? message.toolCalls ?? [] : []
  const text = message.content + calls.map((call) => call.name + call.arguments).join('')
  return estimateTokens(text) + TOKENS_PER_MESSAGE
}

/** Tokens of a text, taken as four bytes of UTF-8 each. */
export function estimateTokens (text: string): number {
  return Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN)
}
