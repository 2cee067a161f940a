import { createHash } from 'node:crypto'
import { type EmbeddingRequest } from '../schemas/embeddings.ts'
import { plainReply, type Reply } from '../http/reply.ts'
import { type Call, replyId } from './call.ts'
import { invalidRequest, refusal } from '../errors/api-failure.ts'
import { requireModel } from './models.ts'

const MAX_INPUTS = 512
const MAX_TOKENS = 16_384
const SIZES: Record<string, { size: number, max: number } | undefined> = {
  'mistral-embed-2312': { size: 1024, max: 1024 },
  'codestral-embed-2505': { size: 1536, max: 3072 }
}

/** POST /v1/embeddings */
export function embed (request: EmbeddingRequest, call: Call): Reply {
  const { settings } = call
  const model = requireModel(request.model, 'embedding', settings.notInUse)
  const inputs = typeof request.input === 'string' ? [request.input] : request.input
  const tokens = inputs.reduce((sum, text) => sum + settings.tokenizer(text), 0)
  if (inputs.length > MAX_INPUTS) throw tooMuch('Too many inputs in request, split into more batches.')
  if (tokens > MAX_TOKENS) throw tooMuch('Too many tokens overall, split into more batches.')
  const size = sizeFor(request, model.id)
  const data = inputs.map((text, index) => ({
    object: 'embedding', embedding: encode(vectorOf(text, size), request), index
  }))
  const usage = { prompt_tokens: tokens, total_tokens: tokens, completion_tokens: 0 }
  return { ...plainReply(200, { id: replyId(call), object: 'list', model: request.model, data, usage }), tokens }
}

const tooMuch = (message: string): Error => refusal(400, message, 'invalid_request_prompt', '3210')

function sizeFor (request: EmbeddingRequest, id: string): number {
  const { size, max } = SIZES[id] ?? { size: 1024, max: 1024 }
  const fixed = size === max
  if (fixed && (request.output_dimension ?? null) !== null) {
    throw invalidRequest('This model has a fixed output_dimension')
  }
  if (fixed && (request.output_dtype ?? 'float') !== 'float') throw invalidRequest('This model only answers float')
  const wanted = request.output_dimension ?? size
  if (wanted > max) throw invalidRequest(`output_dimension must be at most ${max}`)
  return wanted
}

/** A unit vector that depends on the text alone, each number from four bytes of a chain of SHA-256. */
export function vectorOf (text: string, size: number): number[] {
  const numbers: number[] = []
  for (let block = 0; numbers.length < size; block++) {
    const bytes = createHash('sha256').update(`${block}:${text}`).digest()
    for (let at = 0; at < bytes.length && numbers.length < size; at += 4) numbers.push(bytes.readInt32LE(at) / 2 ** 31)
  }
  const length = Math.hypot(...numbers)
  return numbers.map((number) => Math.fround(number / length))
}

function encode (vector: number[], request: EmbeddingRequest): number[] | string {
  const type = request.output_dtype ?? 'float'
  const numbers = type === 'float' ? vector : quantise(vector, type)
  if (request.encoding_format !== 'base64') return numbers
  if (type !== 'float') return Buffer.from(numbers.map((number) => number & 0xff)).toString('base64')
  const bytes = Buffer.alloc(numbers.length * 4)
  numbers.forEach((number, index) => bytes.writeFloatLE(number, index * 4))
  return bytes.toString('base64')
}

/** Whole numbers: a byte for each dimension, or for the binary types a bit, eight to a byte. */
function quantise (vector: number[], type: 'int8' | 'uint8' | 'binary' | 'ubinary'): number[] {
  const offset = type === 'uint8' || type === 'ubinary' ? 128 : 0
  if (type === 'int8' || type === 'uint8') {
    const scale = 127 / Math.max(...vector.map(Math.abs))
    return vector.map((number) => Math.round(number * scale) + offset)
  }
  const bytes = Array.from({ length: Math.ceil(vector.length / 8) }, (_, index) =>
    vector.slice(index * 8, index * 8 + 8).reduce((bits, number, bit) => bits | (number > 0 ? 128 >> bit : 0), 0))
  return bytes.map((byte) => byte - 128 + offset)
}
