import { costUsd } from '../../prices.ts'
import { type PromptMessage, type Usage } from '../../provider.ts'
import { estimateUsage } from '../../usage.ts'
import { isRecord } from './json-record.ts'

/**
 * Reads the `usage` of an answer; nothing when it is absent or does not hold at least the two counts. Cached tokens
 * have two spellings, and are a part of the prompt's.
 */
export function readUsage (usage: unknown): Usage | undefined {
  if (!isRecord(usage)) return undefined
  const promptTokens = count(usage.prompt_tokens)
  const completionTokens = count(usage.completion_tokens)
  if (promptTokens === undefined || completionTokens === undefined) return undefined
  const details = isRecord(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {}
  const cached = count(details.cached_tokens) ?? count(usage.num_cached_tokens)
  return {
    promptTokens,
    completionTokens,
    totalTokens: count(usage.total_tokens) ?? promptTokens + completionTokens,
    ...(cached !== undefined && { cachedTokens: Math.min(cached, promptTokens) })
  }
}

function count (value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

export interface UsageFacts {
  readonly model: string
  readonly reported: Usage | undefined
  readonly messages: readonly PromptMessage[]
  readonly reply: string
}

/**
 * The usage of a generation: what the model reported, else an estimate marked as such; with its cost where the price is
 * known.
 */
export function finalUsage ({ model, reported, messages, reply }: UsageFacts): Usage {
  const usage = reported ?? estimateUsage(messages, reply)
  const cost = costUsd(model, usage)
  return cost === undefined ? usage : { ...usage, costUsd: cost }
}
