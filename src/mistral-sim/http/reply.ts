/** An event of a stream, or a whole body that is not streamed. */
export interface Chunk {
  data: string
  /** Name of the event; only conversations have names. */
  name?: string
}

/** What one request gets: how the reply is sent is data, so that a fault is a change of this data. */
export interface Reply {
  status: number
  headers: Record<string, string>
  /** Whether the chunks are sent as events. */
  stream: boolean
  chunks: Chunk[]
  /** Whether [DONE] may close the stream. */
  done: boolean
  delayMs: number
  /** How much of the header block is sent; the body follows only a whole one. */
  head: 'whole' | 'half' | 'none'
  /** How much of the last chunk is sent, from 0 to 1. */
  lastPart: number
  ending: 'whole' | 'early' | 'hang' | 'reset'
  contentLength: 'right' | 'tooLong' | 'tooShort'
  gzip: boolean
  bytesPerSec: number
  /** Tokens to be billed. */
  tokens: number
}

const PLAIN: Reply = {
  status: 200,
  headers: {},
  stream: false,
  chunks: [],
  done: false,
  delayMs: 0,
  head: 'whole',
  lastPart: 1,
  ending: 'whole',
  contentLength: 'right',
  gzip: false,
  bytesPerSec: Infinity,
  tokens: 0
}

/** A reply in one piece: a string as HTML, undefined as no body at all, everything else as JSON. */
export function plainReply (status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  if (body === undefined) return { ...PLAIN, status, headers }
  const isHtml = typeof body === 'string'
  const type = { 'content-type': isHtml ? 'text/html' : 'application/json' }
  return {
    ...PLAIN, status, headers: { ...type, ...headers }, chunks: [{ data: isHtml ? body : JSON.stringify(body) }]
  }
}

/** A reply as a stream of events, with or without [DONE] at its end. */
export function streamReply (chunks: Chunk[], done: boolean): Reply {
  return { ...PLAIN, headers: { 'content-type': 'text/event-stream; charset=utf-8' }, stream: true, chunks, done }
}
