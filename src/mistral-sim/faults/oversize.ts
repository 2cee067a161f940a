import { type Reply } from '../http/reply.ts'
import { middleOf } from './cut.ts'
import { edited } from './json-chunk.ts'
import { type Fault } from './schema.ts'

/** The reply with one chunk that is so many bytes larger. */
export function oversize (reply: Reply, { bytes }: NonNullable<Fault['oversize']>): Reply {
  const middle = reply.stream ? middleOf(reply) : 0
  const chunks = reply.chunks.map((chunk, index) =>
    index === middle ? edited(chunk, (json) => ({ ...json, oversize: 'x'.repeat(bytes) })) : chunk)
  return { ...reply, chunks }
}
