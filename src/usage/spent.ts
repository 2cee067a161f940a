import { type ModelAttempt } from '../llm/provider.ts'
import { type Spent } from '../store/usage-events.ts'

/** An attempt as the ledger has it. */
export function spentOn ({ model, outcome, usage }: Pick<ModelAttempt, 'model' | 'outcome' | 'usage'>): Spent {
  const { promptTokens, completionTokens, cachedTokens = 0, costUsd = 0, estimated = false } = usage
  return { model, outcome, promptTokens, completionTokens, cachedTokens, microUsd: Math.round(costUsd * 1e6), estimated }
}

export const tokensOf = (attempts: readonly Spent[]) =>
  attempts.reduce((sum, { promptTokens, completionTokens }) => sum + promptTokens + completionTokens, 0)
