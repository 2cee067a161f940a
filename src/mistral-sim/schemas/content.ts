import { Type, type Static } from '@sinclair/typebox'
import { closed, maybe, nullish, oneOf, tagged } from './building-blocks.ts'

const UUID = '^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$'

const TextChunk = closed({ type: maybe(Type.Literal('text')), text: Type.String() })

const ReferenceChunk = closed({
  type: maybe(Type.Literal('reference')),
  reference_ids: Type.Array(Type.Union([Type.Integer(), Type.String()]))
})

const ToolReferenceChunk = closed({
  type: maybe(Type.Literal('tool_reference')),
  tool: Type.String(),
  title: Type.String(),
  url: nullish(Type.String()),
  favicon: nullish(Type.String()),
  description: nullish(Type.String())
})

const ThinkChunk = closed({
  type: maybe(Type.Literal('thinking')),
  thinking: Type.Array(Type.Union([TextChunk, ToolReferenceChunk, ReferenceChunk])),
  signature: nullish(Type.String()),
  closed: maybe(Type.Boolean())
})

const ImageUrl = closed({ url: Type.String(), detail: nullish(oneOf('low', 'auto', 'high')) })

const ImageUrlChunk = closed({
  type: maybe(Type.Literal('image_url')),
  image_url: Type.Union([ImageUrl, Type.String()])
})

const DocumentUrlChunk = closed({
  type: maybe(Type.Literal('document_url')),
  document_url: Type.String(),
  document_name: nullish(Type.String())
})

const FileChunk = closed({ type: maybe(Type.Literal('file')), file_id: Type.String({ pattern: UUID }) })

const AudioChunk = closed({ type: maybe(Type.Literal('input_audio')), input_audio: Type.String() })

/** What a system message may hold as a list. */
export const SystemChunks = Type.Array(tagged('type', [TextChunk, ThinkChunk]))

/** What the other messages may hold as a list. */
export const ContentChunks = Type.Array(tagged('type', [
  TextChunk, ImageUrlChunk, DocumentUrlChunk, ReferenceChunk, FileChunk, ThinkChunk, AudioChunk
]))

/** Any `content` of a message, in each of its forms. */
export type Content = string | null | undefined | Static<typeof SystemChunks> | Static<typeof ContentChunks>
