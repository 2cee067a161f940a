import { ApiError } from '../../../errors.ts'
import { isRecord } from '../answer/json-record.ts'

const BYTES_PER_NUMBER = 4

/** Asks for packed numbers, about half the bytes; a server that does not know that writes them out. */
export function embeddingsBody (model: string, texts: readonly string[]): object {
  return { model, input: texts, encoding_format: 'base64' }
}

/** Reads one vector for each of `count` texts, all of one size. Throws `upstream_failed` when that is not what came. */
export function readEmbeddings ({ data }: Record<string, unknown>, count: number): Float32Array[] {
  const byIndex = new Map(Array.isArray(data) ? data.map(readEntry) : [])
  const vectors = Array.from({ length: count }, (_, index) => byIndex.get(index))
  const size = vectors[0]?.length
  const isWhole = (vector: Float32Array | undefined): vector is Float32Array =>
    vector !== undefined && vector.length === size
  if (byIndex.size !== count || !vectors.every(isWhole)) {
    throw new ApiError('upstream_failed', { detail: 'The model did not answer with one vector for each text.' })
  }
  return vectors
}

function readEntry (entry: unknown, position: number): [unknown, Float32Array | undefined] {
  const { index = position, embedding } = isRecord(entry) ? entry : {}
  const vector = typeof embedding === 'string' ? unpack(Buffer.from(embedding, 'base64')) : numbers(embedding)
  const isSound = vector !== undefined && vector.length > 0 && vector.every(Number.isFinite)
  return [index, isSound ? vector : undefined]
}

/** Little-endian, four bytes a number; nothing when that does not come out even. */
function unpack (bytes: Buffer): Float32Array | undefined {
  if (bytes.length % BYTES_PER_NUMBER !== 0) return undefined
  const vector = new Float32Array(bytes.length / BYTES_PER_NUMBER)
  for (let at = 0; at < vector.length; at++) vector[at] = bytes.readFloatLE(at * BYTES_PER_NUMBER)
  return vector
}

function numbers (embedding: unknown): Float32Array | undefined {
  const isList = Array.isArray(embedding) && embedding.every((number) => typeof number === 'number')
  return isList ? Float32Array.from(embedding) : undefined
}
