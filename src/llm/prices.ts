import { type Usage } from './provider.ts'

interface Price {
  /** USD per million tokens. */
  readonly input: number
  readonly output: number
}

// List prices of the model pages in Mistral's documentation repository (mistralai/platform-docs-public), as of
// 2026-08-21. An alias moves to another model without notice, and its price with it.
const prices: ReadonlyMap<string, Price> = new Map(Object.entries({
  'mistral-large-2512': { input: 0.5, output: 1.5 },
  'mistral-large-latest': { input: 0.5, output: 1.5 },
  'mistral-medium-3-5': { input: 1.5, output: 7.5 },
  'mistral-medium-3': { input: 1.5, output: 7.5 },
  'mistral-medium-latest': { input: 1.5, output: 7.5 },
  'mistral-medium-2508': { input: 0.4, output: 2 },
  'mistral-medium-2505': { input: 0.4, output: 2 },
  'mistral-small-2603': { input: 0.15, output: 0.6 },
  'mistral-small-latest': { input: 0.15, output: 0.6 },
  'ministral-14b-2512': { input: 0.2, output: 0.2 },
  'ministral-14b-latest': { input: 0.2, output: 0.2 },
  'ministral-8b-2512': { input: 0.15, output: 0.15 },
  'ministral-8b-latest': { input: 0.15, output: 0.15 },
  'ministral-3b-2512': { input: 0.1, output: 0.1 },
  'ministral-3b-latest': { input: 0.1, output: 0.1 },
  'codestral-2508': { input: 0.3, output: 0.9 },
  'codestral-latest': { input: 0.3, output: 0.9 },
  'zai-glm-5-2': { input: 1.4, output: 4.4 },
  'labs-leanstral-1-5': { input: 0, output: 0 }
}))

// A cached input token is billed at a tenth of the input price (same source).
const CACHED_SHARE = 0.1

/** What a generation cost by list price, in USD; nothing for a model without a known price. */
export function costUsd (model: string, usage: Usage): number | undefined {
  const price = prices.get(model)
  if (price === undefined) return undefined
  const cached = usage.cachedTokens ?? 0
  const input = (usage.promptTokens - cached + cached * CACHED_SHARE) * price.input
  return roundToNanoDollars((input + usage.completionTokens * price.output) / 1e6)
}

/** Takes the noise of binary fractions off: the dearest token costs thousands of nano-dollars. */
function roundToNanoDollars (usd: number): number {
  return Math.round(usd * 1e9) / 1e9
}
