import { type Connection } from './connection.ts'
import { CommandError } from '../errors.ts'
import { type Variables } from '../aggregation/expressions.ts'
import { type Reply } from './reply.ts'
import { type Store } from './server.ts'
import { decode, encode, isDocument, isLong, isNumeric, toNumber, type Document } from '../values/values.ts'
import { type Message } from './wire.ts'

/** A document as it came: its bytes are kept, so that what is only stored is not encoded again. */
export interface RawDocument {
  /** Absent when the document came inside the command's body. */
  bytes: Uint8Array | undefined
  document: Document
}

/** A command to be run. */
export class Request {
  readonly store: Store
  readonly connection: Connection
  readonly name: string
  readonly body: Document
  readonly database: string
  readonly now = new Date()
  private readonly message: Message

  constructor (store: Store, connection: Connection, name: string, message: Message) {
    this.store = store
    this.connection = connection
    this.name = name
    this.body = message.body
    this.database = typeof message.body.$db === 'string' ? message.body.$db : 'admin'
    this.message = message
  }

  /** The collection the command names as its value. Throws 73 when it is no name. */
  get collection (): string {
    const name = this.body[this.name]
    if (typeof name !== 'string' || name === '') {
      throw new CommandError(73, `collection name has invalid type or is empty: ${String(name)}`)
    }
    return name
  }

  get namespace (): string {
    return `${this.database}.${this.collection}`
  }

  /** The session's id as text, where there is one. */
  get session (): string | undefined {
    const lsid = this.body.lsid
    return isDocument(lsid) ? sessionKey(lsid) : undefined
  }

  /** Variables for expressions: the command's `let`, and NOW. */
  get variables (): Variables {
    return { ...isDocument(this.body.let) ? this.body.let : {}, NOW: this.now }
  }

  /** A list of documents, from a document sequence or from the body. */
  documents (name: string): RawDocument[] {
    const sequence = this.message.sequences.get(name)
    if (sequence !== undefined) return sequence.map((bytes) => ({ bytes, document: decode(bytes) }))
    const list = this.body[name]
    if (!Array.isArray(list)) {
      throw new CommandError(
        list === undefined ? 40414 : 14,
        `BSON field '${this.name}.${name}' is missing or no array`
      )
    }
    return list.map((document: unknown) => {
      if (!isDocument(document)) throw new CommandError(14, `BSON field '${this.name}.${name}' must contain documents`)
      return { bytes: undefined, document }
    })
  }

  /** Whether a truthy option is set. */
  flag (name: string): boolean {
    return isTrue(this.body[name])
  }
}

/** Truth as commands take it: booleans and numbers. */
export function isTrue (value: unknown): boolean {
  return value === true || (isNumeric(value) && toNumber(value) !== 0)
}

/** A session id as a key. */
export function sessionKey (lsid: Document): string {
  return Buffer.from(encode(lsid)).toString('base64')
}

/** Runs a command. */
export type Command = (request: Request) => Reply | Promise<Reply>

/** A cursor id as the wire has it. Throws 14 when it is no int64. */
export function cursorId (value: unknown): bigint {
  if (isLong(value)) return value.toBigInt()
  if (isNumeric(value)) return BigInt(Math.trunc(toNumber(value)))
  throw new CommandError(14, 'a cursor id must be of type long')
}
