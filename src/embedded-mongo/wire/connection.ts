import { type Socket } from 'node:net'
import { runCommand } from '../commands/commands.ts'
import { errorReply, toCommandError } from '../errors.ts'
import { type Reply } from './reply.ts'
import { type Store } from './server.ts'
import { FrameReader, formatReply, parseMessage, type Message } from './wire.ts'

const CLOSE_DEADLINE_MS = 5000
let nextConnectionId = 1

/** One client's connection: messages in, one after the other, answers out. */
export class Connection {
  readonly id = nextConnectionId++
  private readonly socket: Socket
  private readonly store: Store
  private readonly frames = new FrameReader()
  private work = Promise.resolve()
  private isReading = false

  constructor (socket: Socket, store: Store) {
    this.socket = socket
    this.store = store
    socket.on('data', (chunk) => this.receive(chunk))
    // A peer that vanishes is not our error; 'close' follows and tidies up.
    socket.on('error', () => {})
  }

  private receive (chunk: Buffer): void {
    this.frames.push(chunk)
    if (this.isReading) {
      // Backpressure: a client that sends ahead waits until its commands are done.
      this.socket.pause()
      return
    }
    this.isReading = true
    this.work = this.readAll().catch((error: unknown) => {
      // A malformed message: what follows in the stream cannot be understood either.
      this.socket.destroy(toCommandError(error))
    })
  }

  private async readAll (): Promise<void> {
    try {
      for (let frame = this.frames.next(); frame !== undefined; frame = this.frames.next()) {
        await this.answer(parseMessage(frame))
      }
    } finally {
      this.isReading = false
      this.socket.resume()
    }
  }

  private async answer (message: Message): Promise<void> {
    const reply: Reply = await runCommand(this.store, this, message)
    if (message.moreToCome || this.socket.destroyed) return
    const pieces = this.format(message, reply)
    this.socket.cork()
    let isFlowing = true
    for (const piece of pieces) isFlowing = this.socket.write(piece)
    this.socket.uncork()
    if (!isFlowing) await this.drained()
  }

  private format (message: Message, reply: Reply): Buffer[] {
    try {
      return formatReply(message, reply)
    } catch (error) {
      return formatReply(message, errorReply(toCommandError(error)))
    }
  }

  private drained (): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<undefined>()
    const done = () => {
      this.socket.off('drain', done).off('close', done)
      resolve(undefined)
    }
    this.socket.once('drain', done).once('close', done)
    if (this.socket.destroyed) done()
    return promise
  }

  /** Ends the connection after the command that is running. */
  async close (): Promise<void> {
    this.socket.pause()
    // A client that does not read its answer must not keep the store open.
    const deadline = setTimeout(() => this.socket.destroy(), CLOSE_DEADLINE_MS)
    await this.work
    clearTimeout(deadline)
    this.socket.destroy()
  }
}
