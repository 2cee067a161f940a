import { type Cadence } from './cadence.ts'
import { type Chunk } from './reply.ts'
import { type Wire } from './wire.ts'

/** The closing line of a stream. */
export const DONE: Chunk = { data: '[DONE]' }

/** An event as its lines. */
export function frame ({ data, name }: Chunk, cadence: Cadence): Buffer {
  const eol = eolOf(cadence)
  const colon = cadence.spaceAfterColon ? ': ' : ':'
  const event = name === undefined ? '' : `event${colon}${name}${eol}`
  return Buffer.from(`${event}data${colon}${data}${eol}${eol}`)
}

/** A line that a reader has to skip. */
export function comment (cadence: Cadence): Buffer {
  return Buffer.from(`: keep-alive${eolOf(cadence).repeat(2)}`)
}

const eolOf = ({ eol }: Cadence): string => eol === 'crlf' ? '\r\n' : '\n'

/** Turns framed events into writes: one for each, one for several, or several for one. */
export class Packets {
  readonly #wire: Wire
  readonly #mode: string
  readonly #size: number
  #held: Buffer[] = []
  #chunks = 0

  constructor (packet: Cadence['packet'], wire: Wire) {
    const [mode = 'event', size = '1'] = packet.split(':')
    this.#wire = wire
    this.#mode = mode
    this.#size = Math.max(1, Number(size))
  }

  /** Takes the bytes of an event, with which so many chunks of the reply are complete. */
  async add (event: Buffer, chunks: number): Promise<void> {
    this.#held.push(event)
    this.#chunks += chunks
    if (this.#mode !== 'merge' || this.#held.length >= this.#size) await this.flush()
  }

  /** Writes what is held. */
  async flush (): Promise<void> {
    if (this.#held.length === 0) return
    const bytes = Buffer.concat(this.#held)
    const size = this.#mode === 'split' ? this.#size : bytes.length
    const chunks = this.#chunks
    this.#held = []
    this.#chunks = 0
    for (let start = 0; start < bytes.length; start += size) {
      const end = Math.min(start + size, bytes.length)
      await this.#wire.write(bytes.subarray(start, end), end === bytes.length ? chunks : 0)
    }
  }
}
