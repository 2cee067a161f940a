import { Type, type Static } from '@sinclair/typebox'
import { maybe, nullish, oneOf } from './building-blocks.ts'

const V1_CATEGORIES = [
  'sexual', 'hate_and_discrimination', 'violence_and_threats', 'dangerous_and_criminal_content', 'selfharm', 'health',
  'financial', 'law', 'pii'
]

/** What the moderation model of 2603 scores, in the order of its answers. */
export const CATEGORIES = [
  'sexual', 'hate_and_discrimination', 'violence_and_threats', 'dangerous', 'criminal', 'selfharm', 'health',
  'financial', 'law', 'pii', 'jailbreaking'
]

// The three objects of a guardrail are the only ones that the published document leaves open to unknown keys.
const moderation = (categories: string[]) => Type.Object({
  model_name: maybe(Type.String()),
  custom_category_thresholds: nullish(Type.Object(
    Object.fromEntries(categories.map((category) => [category, nullish(Type.Number())]))
  )),
  ignore_other_categories: maybe(Type.Boolean()),
  action: maybe(oneOf('none', 'block'))
})

/** One entry of `guardrails`. */
export const Guardrail = Type.Object({
  block_on_error: maybe(Type.Boolean()),
  moderation_llm_v1: nullish(moderation(V1_CATEGORIES)),
  moderation_llm_v2: nullish(moderation(CATEGORIES))
})

export type Guardrail = Static<typeof Guardrail>
