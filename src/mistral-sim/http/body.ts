import { type IncomingMessage } from 'node:http'
import { canonical } from '../digest.ts'
import { ApiFailure } from '../errors/api-failure.ts'
import { type Problem } from '../validation/problem-text.ts'

const MAX_BODY_BYTES = 32 * 1024 * 1024

/** Reads the whole body. Larger than 32 MiB: throws a 413 without reading on. */
export async function readBody (request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  // Leaving the loop must not destroy the request: its socket still has to carry the refusal.
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += part.length
    if (size > MAX_BODY_BYTES) throw new ApiFailure(413, { message: 'Request size limit exceeded' })
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** A body as JSON. With `problem`, it is none, and `json` is undefined. */
export type ParsedBody =
  | { json: unknown, canonical: string, problem?: undefined }
  | { json?: undefined, problem: Problem }

/** Parses a body that its content type says is JSON. */
export function parseBody (raw: string, contentType: string | undefined): ParsedBody {
  if (raw === '') return { problem: { type: 'missing', loc: ['body'], msg: 'Field required', input: null } }
  if (!/^application\/(\S+\+)?json\b/i.test(contentType ?? '')) {
    const msg = 'Input should be a valid dictionary or object to extract fields from'
    return { problem: { type: 'model_attributes_type', loc: ['body'], msg, input: raw.slice(0, 1000) } }
  }
  try {
    const json: unknown = JSON.parse(raw)
    // Also finds what is nested too deep for anything that would later walk over it.
    return { json, canonical: canonical(json) }
  } catch (error) {
    const loc = ['body', offsetOf(error, raw)]
    return { problem: { type: 'json_invalid', loc, msg: 'JSON decode error', input: {} } }
  }
}

/** Where the parser stopped, as far as its message says: short texts it quotes instead of counting. */
function offsetOf (error: unknown, raw: string): number {
  const message = String(error)
  const [, position] = /at position (\d+)/.exec(message) ?? []
  if (position !== undefined) return Number(position)
  return message.includes('Unexpected end') ? raw.length : 0
}
