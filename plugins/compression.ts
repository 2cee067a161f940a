import { brotliCompress, brotliCompressSync, constants, gzip, gzipSync } from 'node:zlib'
import { type onSendHookHandler, type RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import Negotiator from 'negotiator'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether long answers are compressed. Unset: those to GET are. Never where there is a secret in them, or its length would tell of it. */
    compressed?: boolean
  }
}

// Below, nothing is won: it fits into one packet as it is.
const MIN_BYTES = 1024
// Up to here, handing it to another thread takes longer than doing it.
const AT_ONCE_BYTES = 8192

// What better ones save is a tenth, for several times the work.
const fastGzip = { level: 1 }
const fastBrotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }

type Done = (error: Error | null, compressed: Buffer) => void

/** In the order of our liking, for those who have none. */
const ways = {
  br: {
    atOnce: (text: string) => brotliCompressSync(text, fastBrotli),
    soon: (text: string, done: Done) => { brotliCompress(text, fastBrotli, done) }
  },
  gzip: {
    atOnce: (text: string) => gzipSync(text, fastGzip),
    soon: (text: string, done: Done) => { gzip(text, fastGzip, done) }
  }
}

const encodings = [...Object.keys(ways), 'identity'] as ReadonlyArray<keyof typeof ways | 'identity'>

/** Whether the long answers of a route are compressed. */
export const isCompressed = ({ method, config }: Pick<RouteOptions, 'method' | 'config'>): boolean =>
  config?.compressed ?? (method === 'GET' || method === 'HEAD')

const compress: onSendHookHandler<unknown> = (request, reply, payload, done) => {
  // A stream goes out as it comes.
  if (typeof payload !== 'string' || Buffer.byteLength(payload) < MIN_BYTES) return done(null, payload)
  // A strong tag names the bytes, and is sent back by those who change what they have read.
  if (reply.hasHeader('etag') || !/json|yaml/.test(String(reply.getHeader('content-type')))) return done(null, payload)
  reply.header('vary', [reply.getHeader('vary') ?? [], 'accept-encoding'].flat().join(', '))
  const encoding = new Negotiator(request).encoding(encodings) as typeof encodings[number] | undefined
  if (encoding === undefined || encoding === 'identity') return done(null, payload)
  reply.header('content-encoding', encoding)
  if (payload.length <= AT_ONCE_BYTES) return done(null, ways[encoding].atOnce(payload))
  ways[encoding].soon(payload, done)
}

/**
 * Compresses long answers in JSON for those who take it, but none with an ETag, no stream, and no secret.
 *
 * Why not @fastify/compress: it has no `vary` on what it leaves as it is, and would compress, or not, all answers of all routes, by streams,
 * without a length, or on the one thread; `br;q=0, *` gets Brotli from it, and bodies of requests are unpacked without being asked for.
 */
export default fp(async (fastify) => {
  // Behind the hooks that later plugins put before it, which want to see the text, and before the framework's, which leaves HEAD its length.
  fastify.addHook('onRoute', (route) => {
    if (isCompressed(route)) route.onSend = [compress, ...[route.onSend ?? []].flat()]
  })
}, { name: 'compression' })
