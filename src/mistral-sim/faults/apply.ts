import { errorBody } from '../errors/bodies.ts'
import { plainReply, type Reply } from '../http/reply.ts'
import { retryAfterValue } from '../http/retry-after.ts'
import { cut, endEarly } from './cut.ts'
import { withError } from './error-chunk.ts'
import { malformed } from './malformed.ts'
import { oversize } from './oversize.ts'
import { type Fault } from './schema.ts'

/** What a fault may need to know of its request. */
export interface Circumstances {
  requestId: string
  /** Milliseconds since 1970. */
  now: number
}

/** The reply that the fault puts in place of the real one; undefined: the real one is needed. */
export function replacement (fault: Fault, { requestId, now }: Circumstances): Reply | undefined {
  const { status, errorInside200, hang, reset } = fault
  if (status !== undefined) {
    const { code, bodyShape = 'mistral', retryAfter, headers } = status
    const wait = retryAfter && { 'retry-after': retryAfterValue(retryAfter.seconds, retryAfter.as ?? 'seconds', now) }
    return plainReply(code, errorBody(bodyShape, code, requestId), { ...wait, ...headers })
  }
  if (errorInside200 !== undefined) {
    const { code, bodyShape = 'mistral' } = errorInside200
    return plainReply(200, errorBody(bodyShape, code, requestId))
  }
  return hang === true || (reset !== undefined && 'at' in reset) ? plainReply(200, undefined) : undefined
}

type Shaping = Exclude<keyof Fault, 'status' | 'errorInside200' | 'emptyContent' | 'content'>
type Change<Name extends Shaping> = (reply: Reply, value: NonNullable<Fault[Name]>) => Reply

/** What each fault changes in a reply, in this order: first what a chunk says, then where the reply breaks. */
const CHANGES: { [Name in Shaping]: Change<Name> } = {
  malformed,
  errorChunk: withError,
  oversize,
  truncate: (reply, where) => where === true ? endEarly(reply) : cut(reply, where.chunks, 'early'),
  hangAfter: (reply, { chunks }) => cut(reply, chunks, 'hang'),
  reset: (reply, where) => 'afterChunks' in where
    ? cut(reply, where.afterChunks, 'reset')
    : { ...reply, head: where.at === 'headers' ? 'half' : 'none', ending: 'reset' },
  hang: (reply) => ({ ...reply, head: 'none', ending: 'hang' }),
  contentType: (reply, type) => {
    const { 'content-type': _, ...headers } = reply.headers
    return { ...reply, headers: type === 'none' ? headers : { ...headers, 'content-type': type } }
  },
  gzip: (reply) => ({ ...reply, gzip: true, headers: { ...reply.headers, 'content-encoding': 'gzip' } }),
  wrongLength: (reply, contentLength) => ({ ...reply, contentLength }),
  trickle: (reply, { bytesPerSec }) => ({ ...reply, bytesPerSec }),
  latencyMs: (reply, delayMs) => ({ ...reply, delayMs })
}
const NAMES = Object.keys(CHANGES) as Shaping[]

/** The reply with everything that the fault changes in it. */
export function withFault (reply: Reply, fault: Fault): Reply {
  return NAMES.reduce((changed, name) => change(changed, name, fault), reply)
}

function change<Name extends Shaping> (reply: Reply, name: Name, fault: Fault): Reply {
  const value = fault[name]
  const apply: Change<Name> = CHANGES[name]
  return value === undefined ? reply : apply(reply, value)
}
