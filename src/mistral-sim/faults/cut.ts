import { type Reply } from '../http/reply.ts'

/** The reply up to a chunk, or a place inside one; half of a reply that is not streamed counts as a chunk. */
export function cut (reply: Reply, chunks: number, ending: 'early' | 'hang' | 'reset'): Reply {
  const at = reply.stream ? chunks : chunks / 2
  if (at >= reply.chunks.length) return { ...reply, ending }
  const kept = Math.ceil(at)
  return { ...reply, chunks: reply.chunks.slice(0, kept), lastPart: at - kept + 1, ending }
}

/** The first half of the reply. */
export function endEarly (reply: Reply): Reply {
  return cut(reply, reply.stream ? middleOf(reply) : 1, 'early')
}

/** The number of chunks in the first half of a reply. */
export function middleOf ({ chunks }: Reply): number {
  return Math.ceil(chunks.length / 2)
}
