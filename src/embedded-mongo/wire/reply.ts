import { Double } from 'bson'
import { encode, type Document } from '../values/values.ts'

/** An answer with a batch of documents, whose bytes go out as they are stored. */
export interface CursorReply {
  batchName: 'firstBatch' | 'nextBatch'
  /** 0: the cursor is at its end. */
  cursorId: bigint
  namespace: string
  batch: readonly Uint8Array[]
  /** Fields beside the cursor. */
  fields: Document
}

/** What a command answers; `ok: 1` is added. */
export type Reply = Document | CursorReply

const TYPE = { string: 0x02, document: 0x03, array: 0x04, int64: 0x12 } as const
const OK = new Double(1)

/** Whether an answer is a cursor's batch. */
export function isCursorReply (reply: Reply): reply is CursorReply {
  return 'batchName' in reply && 'cursorId' in reply
}

/** The answer as BSON, in pieces. */
export function encodeReply (reply: Reply): Buffer[] {
  if (!isCursorReply(reply)) return [asBuffer(encode({ ...reply, ok: reply.ok ?? OK }, Infinity))]
  // An empty document's bytes without length and end are the bare fields.
  const fields = asBuffer(encode({ ...reply.fields, ok: OK })).subarray(4, -1)
  const elements = reply.batch.flatMap((bytes, i) => [name(TYPE.document, String(i)), asBuffer(bytes)])
  const cursor = [
    name(TYPE.array, reply.batchName), ...document(elements),
    name(TYPE.int64, 'id'), int64(reply.cursorId),
    name(TYPE.string, 'ns'), string(reply.namespace)
  ]
  return document([name(TYPE.document, 'cursor'), ...document(cursor), fields])
}

function asBuffer (bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

function name (type: number, key: string): Buffer {
  return Buffer.from(`${String.fromCharCode(type)}${key}\0`)
}

function int64 (value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(value)
  return bytes
}

function string (value: string): Buffer {
  const text = Buffer.from(`${value}\0`)
  const length = Buffer.alloc(4)
  length.writeInt32LE(text.length)
  return Buffer.concat([length, text])
}

function document (content: Buffer[]): Buffer[] {
  const length = Buffer.alloc(4)
  length.writeInt32LE(content.reduce((sum, piece) => sum + piece.length, 5))
  return [length, ...content, Buffer.alloc(1)]
}
