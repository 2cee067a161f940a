import { type PromptMessage } from '../../provider.ts'
import { estimateMessageTokens } from '../../usage.ts'

export interface WindowLimits {
  /** Tokens of prompt and reply together. */
  readonly windowTokens: number
  /** The longest reply asked for; unknown: room for an ordinary one is kept. */
  readonly maxTokens: number | undefined
}

// Tokens are estimated from bytes, and a model may count more than that.
const ESTIMATE_MARGIN = 1.15
const ORDINARY_REPLY_TOKENS = 4096
// Of a small window, an ordinary reply gets no more than this.
const REPLY_SHARE = 0.25

/**
 * Leaves out the oldest exchanges until prompt and reply fit into the window: each is a message of the user with
 * everything up to the next one, rounds of tools included. System text and the newest exchange stay, even where they
 * alone are too much: that is for the model to say. `messages` are in order.
 */
export function fitToWindow (
  messages: readonly PromptMessage[], { windowTokens, maxTokens }: WindowLimits
): readonly PromptMessage[] {
  const replyTokens = maxTokens ?? Math.min(ORDINARY_REPLY_TOKENS, windowTokens * REPLY_SHARE)
  const tokens = messages.map(estimateMessageTokens)
  let total = tokens.reduce((sum, count) => sum + count, 0)
  const fits = (): boolean => total * ESTIMATE_MARGIN + replyTokens <= windowTokens
  const oldest = messages[0]?.role === 'system' ? 1 : 0
  const newest = messages.findLastIndex(({ role }) => role === 'user')
  const beginsExchange = (index: number): boolean => index === oldest || messages[index]?.role === 'user'
  let kept = oldest
  while (kept < newest && !(beginsExchange(kept) && fits())) {
    total -= tokens[kept]!
    kept++
  }
  return [...messages.slice(0, oldest), ...messages.slice(kept)]
}
