import { gzipSync } from 'node:zlib'
import { type Clock } from '../clock.ts'
import { type Cadence } from './cadence.ts'
import { comment, DONE, frame, Packets } from './event-stream.ts'
import { type Reply } from './reply.ts'
import { type Wire } from './wire.ts'

/** Sends a reply as it says. Returns early when the client has left. */
export async function send (reply: Reply, cadence: Cadence, wire: Wire, clock: Clock): Promise<void> {
  if (reply.delayMs > 0) await clock.wait(reply.delayMs, wire.signal)
  if (wire.signal.aborted) return
  if (reply.head === 'half') await wire.halfHead()
  if (reply.head === 'whole') await sendBody(reply, cadence, wire, clock)
  await finish(reply, cadence, wire)
}

const NO_DELAYS = { firstDelayMs: 0, chunkDelayMs: 0 }

async function sendBody (reply: Reply, cadence: Cadence, wire: Wire, clock: Clock): Promise<void> {
  const encode = (bytes: Buffer): Buffer => reply.gzip ? gzipSync(bytes) : bytes
  const frames = framesOf(reply, cadence, encode)
  wire.head(reply.status, { ...reply.headers, ...lengthOf(reply, frames) })
  wire.bytesPerSec = reply.bytesPerSec
  const packets = new Packets(reply.stream ? cadence.packet : 'event', wire)
  const beat = encode(comment(cadence))
  const { firstDelayMs, chunkDelayMs } = reply.stream ? cadence : NO_DELAYS
  if (firstDelayMs > 0) await pause(firstDelayMs, beat, cadence, wire, clock)
  for (const [index, bytes] of frames.entries()) {
    const isChunk = index < reply.chunks.length
    if (chunkDelayMs > 0 && isChunk && index > 0) await pause(chunkDelayMs, beat, cadence, wire, clock)
    if (wire.signal.aborted) return
    const isWhole = index < reply.chunks.length - 1 || reply.lastPart === 1
    await packets.add(bytes, isChunk && isWhole ? 1 : 0)
  }
  await packets.flush()
}

/** The bytes of each chunk, and of [DONE] where that belongs to the reply. */
function framesOf (reply: Reply, cadence: Cadence, encode: (bytes: Buffer) => Buffer): Buffer[] {
  if (!reply.stream) return cutLast(reply.chunks.map(({ data }) => encode(Buffer.from(data))), reply.lastPart)
  const closing = reply.done && cadence.done && reply.ending === 'whole' ? [DONE] : []
  return cutLast([...reply.chunks, ...closing].map((chunk) => encode(frame(chunk, cadence))), reply.lastPart)
}

function cutLast (frames: Buffer[], part: number): Buffer[] {
  return frames.map((bytes, index) =>
    index === frames.length - 1 ? bytes.subarray(0, Math.ceil(bytes.length * part)) : bytes)
}

/** A stream has no length unless it lies about it, and neither has a body that will be cut. */
function lengthOf (reply: Reply, frames: Buffer[]): Record<string, number> {
  const bytes = frames.reduce((sum, { length }) => sum + length, 0)
  if (reply.contentLength === 'tooLong') return { 'content-length': 2 * bytes + 1000 }
  if (reply.contentLength === 'tooShort') return { 'content-length': Math.floor(bytes / 2) }
  return reply.stream || reply.ending !== 'whole' ? {} : { 'content-length': bytes }
}

async function pause (ms: number, beat: Buffer, cadence: Cadence, wire: Wire, clock: Clock): Promise<void> {
  const every = cadence.keepAliveCommentMs > 0 ? cadence.keepAliveCommentMs : Infinity
  let left = ms
  for (; left > every && !wire.signal.aborted; left -= every) {
    await clock.wait(every, wire.signal)
    await wire.write(beat, 0)
  }
  await clock.wait(left, wire.signal)
}

async function finish (reply: Reply, cadence: Cadence, wire: Wire): Promise<void> {
  if (reply.ending === 'reset') return wire.reset()
  if (reply.ending === 'hang') return wire.hang()
  if (reply.ending === 'whole' && reply.stream && cadence.holdOpenAfterDone) await wire.hang()
  // Bytes that were announced and never come: only the end of the connection tells.
  if (reply.contentLength === 'tooLong') wire.hangUp()
  else wire.end()
}
