/** What is known of a model. */
export interface ModelFacts {
  /** Tokens of prompt and reply together. */
  readonly window: number
  /** USD per million tokens. */
  readonly price: { readonly input: number, readonly output: number }
}

function facts (window: number, input: number, output: number): ModelFacts {
  return { window, price: { input, output } }
}

const large = facts(256_000, 0.5, 1.5)
const medium35 = facts(256_000, 1.5, 7.5)
const medium3 = facts(128_000, 0.4, 2)
const small = facts(256_000, 0.15, 0.6)
const ministral14b = facts(256_000, 0.2, 0.2)
const ministral8b = facts(256_000, 0.15, 0.15)
const ministral3b = facts(256_000, 0.1, 0.1)
const codestral = facts(128_000, 0.3, 0.9)

// Windows and list prices of the model pages in Mistral's documentation repository (mistralai/platform-docs-public), as
// of 2026-08-21. An alias moves to another model without notice, and what is said here with it. A window of "256k" is
// taken as the smaller of its two readings.
const models: ReadonlyMap<string, ModelFacts> = new Map(Object.entries({
  'mistral-large-2512': large,
  'mistral-large-latest': large,
  'mistral-medium-3-5': medium35,
  'mistral-medium-3': medium35,
  'mistral-medium-latest': medium35,
  'mistral-medium-2508': medium3,
  'mistral-medium-2505': medium3,
  'mistral-small-2603': small,
  'mistral-small-latest': small,
  'ministral-14b-2512': ministral14b,
  'ministral-14b-latest': ministral14b,
  'ministral-8b-2512': ministral8b,
  'ministral-8b-latest': ministral8b,
  'ministral-3b-2512': ministral3b,
  'ministral-3b-latest': ministral3b,
  'codestral-2508': codestral,
  'codestral-latest': codestral,
  'zai-glm-5-2': facts(1_000_000, 1.4, 4.4),
  'labs-leanstral-1-5': facts(256_000, 0, 0),
  'voxtral-small-2507': facts(32_000, 0.1, 0.4)
}))

/** What the provider without a model calls itself. */
export const OFFLINE_MODEL = 'offline-extractive'

// Of the chat models in use the smallest window but for old ones. A guess that is too small costs a long conversation
// its beginning; one that is too large costs it a refused call, or, at servers that cut in silence, the instructions.
const UNKNOWN_WINDOW = 32_000

/** A model by its id or alias; nothing when it is not in the table. */
export function findModel (name: string): ModelFacts | undefined {
  return models.get(name)
}

/** A name of few: the model's own where it is known, else `other`, because tenants may make names up. */
export function knownName (name: string): string {
  return models.has(name) || name === OFFLINE_MODEL ? name : 'other'
}

/** Tokens that prompt and reply of a model may have together; 32,000 for a model that is not known. */
export function windowOf (name: string): number {
  return findModel(name)?.window ?? UNKNOWN_WINDOW
}
