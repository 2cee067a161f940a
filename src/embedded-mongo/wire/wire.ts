import { CommandError } from '../errors.ts'
import { decode, type Document } from '../values/values.ts'
import { encodeReply, type Reply } from './reply.ts'

/** Longest message either side may send, in bytes. */
export const MAX_MESSAGE_BYTES = 48_000_000
/** A command document may nest deeper than a stored one, which it wraps. */
const COMMAND_NESTING = 200
const HEADER_BYTES = 16
const JOINED_BYTES = 256 * 1024
const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013
const FLAG_CHECKSUM = 1
const FLAG_MORE_TO_COME = 2
/** Bits 0 to 15 of OP_MSG's flags must be understood; 16 and up are optional. */
const UNKNOWN_REQUIRED_FLAGS = 0xfffc

/** A command as it came over the wire. */
export interface Message {
  requestId: number
  /** OP_QUERY: the legacy hello, answered with OP_REPLY. */
  legacy: boolean
  /** The client does not wait for an answer. */
  moreToCome: boolean
  body: Document
  /** Document sequences, not decoded. */
  sequences: Map<string, Buffer[]>
}

/** Cuts a byte stream into messages. Throws on lengths no message can have. */
export class FrameReader {
  private chunks: Buffer[] = []
  private length = 0

  push (chunk: Buffer): void {
    this.chunks.push(chunk)
    this.length += chunk.length
  }

  /** The next whole message, or undefined until more bytes have come. */
  next (): Buffer | undefined {
    if (this.length < HEADER_BYTES) return undefined
    const first = this.joined(HEADER_BYTES)
    const size = first.readInt32LE(0)
    if (size < HEADER_BYTES || size > MAX_MESSAGE_BYTES) {
      throw new CommandError(16, `message length ${size} is out of bounds`)
    }
    if (this.length < size) return undefined
    const all = this.joined(size)
    this.chunks[0] = all.subarray(size)
    this.length -= size
    return all.subarray(0, size)
  }

  /** The first chunk, made at least `size` bytes long. */
  private joined (size: number): Buffer {
    const [first] = this.chunks
    if (first !== undefined && first.length >= size) return first
    const all = Buffer.concat(this.chunks)
    this.chunks = [all]
    return all
  }
}

/** Takes a message apart. Throws on anything malformed: the connection cannot go on. */
export function parseMessage (frame: Buffer): Message {
  const requestId = frame.readInt32LE(4)
  const opcode = frame.readInt32LE(12)
  if (opcode === OP_MSG) return parseOpMsg(frame, requestId)
  if (opcode === OP_QUERY) return parseOpQuery(frame, requestId)
  throw new CommandError(16, `opcode ${opcode} is not supported`)
}

function parseOpMsg (frame: Buffer, requestId: number): Message {
  const flags = frame.readUInt32LE(HEADER_BYTES)
  if ((flags & UNKNOWN_REQUIRED_FLAGS) !== 0) throw new CommandError(16, 'unknown message flags')
  // The checksum is optional, also for the receiver: TCP and Unix sockets have their own.
  const end = (flags & FLAG_CHECKSUM) !== 0 ? frame.length - 4 : frame.length
  const sequences = new Map<string, Buffer[]>()
  let body: Document | undefined
  let at = HEADER_BYTES + 4
  while (at < end) {
    const kind = frame.readUInt8(at++)
    const size = sizeAt(frame, at, end)
    const section = frame.subarray(at, at + size)
    if (kind === 0 && body === undefined) body = decode(section, COMMAND_NESTING)
    else if (kind === 1) addSequence(sequences, section)
    else throw new CommandError(16, 'malformed message sections')
    at += size
  }
  if (body === undefined) throw new CommandError(16, 'a message needs a body')
  return { requestId, legacy: false, moreToCome: (flags & FLAG_MORE_TO_COME) !== 0, body, sequences }
}

function sizeAt (frame: Buffer, at: number, end: number): number {
  const size = at + 5 <= end ? frame.readInt32LE(at) : -1
  if (size < 5 || at + size > end) throw new CommandError(16, 'a section does not fit its message')
  return size
}

function addSequence (sequences: Map<string, Buffer[]>, section: Buffer): void {
  const nameEnd = section.indexOf(0, 4)
  if (nameEnd === -1) throw new CommandError(16, 'a document sequence needs a name')
  const documents: Buffer[] = []
  for (let at = nameEnd + 1; at < section.length;) {
    const size = sizeAt(section, at, section.length)
    documents.push(section.subarray(at, at + size))
    at += size
  }
  sequences.set(section.toString('utf8', 4, nameEnd), documents)
}

function parseOpQuery (frame: Buffer, requestId: number): Message {
  const nameEnd = frame.indexOf(0, HEADER_BYTES + 4)
  if (nameEnd === -1) throw new CommandError(16, 'malformed query')
  const at = nameEnd + 1 + 8
  const size = sizeAt(frame, at, frame.length)
  const database = frame.toString('utf8', HEADER_BYTES + 4, nameEnd).replace(/\.\$cmd$/, '')
  const query = decode(frame.subarray(at, at + size), COMMAND_NESTING)
  return { requestId, legacy: true, moreToCome: false, body: { ...query, $db: database }, sequences: new Map() }
}

let nextRequestId = 1

/** The bytes of an answer. */
export function formatReply (message: Message, reply: Reply): Buffer[] {
  const body = encodeReply(reply)
  const pieces = message.legacy ? legacyReply(message.requestId, body) : opMsgReply(message.requestId, body)
  // One write of joined bytes is cheaper than many small pieces; large replies are not copied again.
  return total(pieces) <= JOINED_BYTES ? [Buffer.concat(pieces)] : pieces
}

function header (size: number, responseTo: number, opcode: number, rest: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + rest)
  nextRequestId = (nextRequestId + 1) & 0x7fffffff
  bytes.writeInt32LE(bytes.length + size, 0)
  bytes.writeInt32LE(nextRequestId, 4)
  bytes.writeInt32LE(responseTo, 8)
  bytes.writeInt32LE(opcode, 12)
  return bytes
}

function opMsgReply (responseTo: number, body: Buffer[]): Buffer[] {
  // Flags 0 and one section of kind 0.
  return [header(total(body), responseTo, OP_MSG, 5), ...body]
}

function legacyReply (responseTo: number, body: Buffer[]): Buffer[] {
  const head = header(total(body), responseTo, OP_REPLY, 20)
  head.writeInt32LE(1, HEADER_BYTES + 16)
  return [head, ...body]
}

function total (buffers: Buffer[]): number {
  return buffers.reduce((sum, { length }) => sum + length, 0)
}
