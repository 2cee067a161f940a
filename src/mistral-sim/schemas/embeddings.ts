import { Type, type Static } from '@sinclair/typebox'
import { anyObject, closed, maybe, nullish, oneOf } from './building-blocks.ts'

const textOrTexts = Type.Union([Type.String(), Type.Array(Type.String())])

/** POST /v1/embeddings */
export const EmbeddingRequest = closed({
  model: Type.String(),
  metadata: nullish(anyObject),
  input: textOrTexts,
  output_dimension: nullish(Type.Integer({ exclusiveMinimum: 0 })),
  output_dtype: maybe(oneOf('float', 'int8', 'uint8', 'binary', 'ubinary')),
  encoding_format: maybe(oneOf('float', 'base64'))
})

/** POST /v1/moderations */
export const ModerationRequest = closed({
  model: Type.String(),
  metadata: nullish(anyObject),
  input: textOrTexts
})

export type EmbeddingRequest = Static<typeof EmbeddingRequest>
export type ModerationRequest = Static<typeof ModerationRequest>
