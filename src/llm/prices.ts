import { findModel } from './models.ts'
import { type Usage } from './provider.ts'

// A cached input token is billed at a tenth of the input price: Mistral's own models by the rule of the documentation
// (mistralai/platform-docs-public, 2026-08-21), hosted ones of others by their list price.
const CACHED_SHARE = 0.1

/** What a generation cost by list price, in USD; nothing for a model without a known price. */
export function costUsd (model: string, usage: Usage): number | undefined {
  const price = findModel(model)?.price
  if (price === undefined) return undefined
  const cached = usage.cachedTokens ?? 0
  const input = (usage.promptTokens - cached + cached * CACHED_SHARE) * price.input
  return roundToNanoDollars((input + usage.completionTokens * price.output) / 1e6)
}

/** Takes the noise of binary fractions off: the dearest token costs thousands of nano-dollars. */
function roundToNanoDollars (usd: number): number {
  return Math.round(usd * 1e9) / 1e9
}
