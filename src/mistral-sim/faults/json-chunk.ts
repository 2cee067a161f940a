import { type Chunk } from '../http/reply.ts'

/** Any JSON object. */
export type JsonObject = Record<string, unknown>

/** A chunk with its JSON changed; what is no JSON object stays as it is. */
export function edited (chunk: Chunk, change: (json: JsonObject) => JsonObject): Chunk {
  const json = parsed(chunk)
  return json === undefined ? chunk : { ...chunk, data: JSON.stringify(change(json)) }
}

/** The JSON object of a chunk. */
export function parsed ({ data }: Chunk): JsonObject | undefined {
  if (!data.startsWith('{')) return undefined
  return JSON.parse(data) as JsonObject
}

/** A chunk's choices, changed one by one. */
export function withChoices (json: JsonObject, change: (choice: JsonObject) => JsonObject): JsonObject {
  const { choices } = json
  return Array.isArray(choices) ? { ...json, choices: (choices as JsonObject[]).map(change) } : json
}
