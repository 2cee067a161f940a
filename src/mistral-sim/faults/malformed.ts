import { type Chunk, type Reply } from '../http/reply.ts'
import { middleOf } from './cut.ts'
import { edited, type JsonObject, parsed, withChoices } from './json-chunk.ts'
import { type Fault } from './schema.ts'

type Kind = NonNullable<Fault['malformed']>

const UNKNOWN = { type: 'hologram', hologram: 'from a later version of the API' }

/** What becomes of the only chunk of a plain reply. */
const WHOLE: Record<Kind, (chunk: Chunk) => Chunk> = {
  badJson: halved,
  unknownChunkType: (chunk) => edited(chunk, (json) => withChoices(json, (choice) => ({
    ...choice, message: withUnknown(choice.message as JsonObject)
  }))),
  missingChoices: (chunk) => edited(chunk, ({ choices: _, ...rest }) => rest),
  emptyChoices: (chunk) => edited(chunk, (json) => ({ ...json, choices: [] })),
  usageNull: (chunk) => edited(chunk, (json) => ({ ...json, usage: null })),
  duplicateFinish: (chunk) => chunk
}

/** What becomes of a stream. Its text stays complete wherever the chunks can still be read. */
const STREAMED: Record<Kind, (chunks: Chunk[], middle: number) => Chunk[]> = {
  badJson: (chunks, middle) => chunks.map((chunk, index) => index === middle ? halved(chunk) : chunk),
  unknownChunkType: (chunks, middle) => inserted(chunks, middle, (json) => withChoices(json, (choice) => ({
    ...choice, delta: { content: [UNKNOWN] }
  }))),
  missingChoices: (chunks, middle) => inserted(chunks, middle, ({ choices: _, ...rest }) => rest),
  emptyChoices: (chunks, middle) => inserted(chunks, middle, (json) => ({ ...json, choices: [] })),
  usageNull: (chunks) => chunks.map((chunk) => edited(chunk, (json) => ({ usage: null, ...json }))),
  duplicateFinish: (chunks) => chunks.flatMap((chunk) => isLast(chunk) ? [chunk, chunk] : [chunk])
}

/** A reply one of whose chunks is not what it should be. */
export function malformed (reply: Reply, kind: Kind): Reply {
  const chunks = reply.stream ? STREAMED[kind](reply.chunks, middleOf(reply)) : reply.chunks.map(WHOLE[kind])
  return { ...reply, chunks }
}

function halved (chunk: Chunk): Chunk {
  return { ...chunk, data: chunk.data.slice(0, Math.ceil(chunk.data.length / 2)) }
}

/** A chunk more in the middle, made from the first. */
function inserted (chunks: Chunk[], middle: number, change: (json: JsonObject) => JsonObject): Chunk[] {
  return [...chunks.slice(0, middle), ...chunks.slice(0, 1).map((first) => edited(first, change)), ...chunks.slice(middle)]
}

function withUnknown (message: JsonObject): JsonObject {
  const text = typeof message.content === 'string' ? [{ type: 'text', text: message.content }] : []
  return { ...message, content: [UNKNOWN, ...text] }
}

function isLast (chunk: Chunk): boolean {
  const [choice] = (parsed(chunk)?.choices ?? []) as JsonObject[]
  return typeof choice?.finish_reason === 'string'
}
