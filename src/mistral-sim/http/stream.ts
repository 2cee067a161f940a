import { type Clock } from '../clock.ts'
import { type Wire } from './wire.ts'

/** How a stream is paced and packed. */
export interface Cadence {
  firstDelayMs: number
  chunkDelayMs: number
  /** Words in a chunk of text. */
  tokensPerChunk: number
  /** One write per event, one per k events, or writes of so many bytes. */
  packet: 'event' | `merge:${number}` | `split:${number}`
  eol: 'lf' | 'crlf'
  spaceAfterColon: boolean
  /** While waiting, a comment line every so many milliseconds; 0: none. */
  keepAliveCommentMs: number
  /** The chunk that carries the usage: that with the finish reason, one of its own without choices, or none. */
  usageOn: 'finish' | 'extra-chunk' | 'none'
  /** Tool calls in one piece, or in fragments; absent: as the model does it. */
  toolStyle?: 'whole' | 'fragments'
  /** Whether [DONE] closes the stream. */
  done: boolean
  holdOpenAfterDone: boolean
}

/** The cadence when nothing else is said: every chunk at once, as the API packs them. */
export const DEFAULT_CADENCE: Cadence = {
  firstDelayMs: 0,
  chunkDelayMs: 0,
  tokensPerChunk: 1,
  packet: 'event',
  eol: 'lf',
  spaceAfterColon: true,
  keepAliveCommentMs: 0,
  usageOn: 'finish',
  done: true,
  holdOpenAfterDone: false
}

/** One thing that happens on the wire: an event, a piece of a plain body, or the way that it ends early. */
export type Step =
  | { kind: 'event', data: string, name?: string }
  | { kind: 'piece', text: string }
  | { kind: 'hang' | 'reset' | 'end' }

/** Plays the steps of a stream and closes it as the cadence says. Returns early when the client has left. */
export async function playStream (steps: Step[], cadence: Cadence, wire: Wire, clock: Clock): Promise<void> {
  const packets = new Packets(cadence, wire)
  await pause(cadence.firstDelayMs, cadence, wire, clock)
  for (const [index, step] of steps.entries()) {
    if (wire.signal.aborted) return
    if (step.kind === 'event') {
      if (index > 0) await pause(cadence.chunkDelayMs, cadence, wire, clock)
      await packets.add(frame(step, cadence), true)
    } else {
      await packets.flush()
      return finishEarly(step, wire)
    }
  }
  if (cadence.done) await packets.add(frame({ kind: 'event', data: '[DONE]' }, cadence), false)
  await packets.flush()
  if (cadence.holdOpenAfterDone) await wire.hang()
  wire.end()
}

/** Plays the pieces of a plain body. */
export async function playBody (steps: Step[], wire: Wire): Promise<void> {
  for (const step of steps) {
    if (step.kind !== 'piece') return finishEarly(step, wire)
    await wire.write(Buffer.from(step.text), 1)
  }
  wire.end()
}

async function finishEarly (step: Step, wire: Wire): Promise<void> {
  if (step.kind === 'hang') await wire.hang()
  else if (step.kind === 'reset') wire.reset()
  else wire.end()
}

function frame ({ data, name }: { kind: 'event', data: string, name?: string }, cadence: Cadence): Buffer {
  const eol = cadence.eol === 'crlf' ? '\r\n' : '\n'
  const colon = cadence.spaceAfterColon ? ': ' : ':'
  const event = name === undefined ? '' : `event${colon}${name}${eol}`
  return Buffer.from(`${event}data${colon}${data}${eol}${eol}`)
}

async function pause (ms: number, cadence: Cadence, wire: Wire, clock: Clock): Promise<void> {
  let left = ms
  const beat = cadence.keepAliveCommentMs > 0 ? cadence.keepAliveCommentMs : Infinity
  for (; left > beat && !wire.signal.aborted; left -= beat) {
    await clock.wait(beat, wire.signal)
    await wire.write(Buffer.from(': keep-alive\n\n'), 0)
  }
  if (left > 0) await clock.wait(left, wire.signal)
}

/** Turns events into writes. */
class Packets {
  readonly #wire: Wire
  readonly #mode: string
  readonly #size: number
  #held: Buffer[] = []
  #chunks = 0

  constructor (cadence: Cadence, wire: Wire) {
    const [mode = 'event', size = '1'] = cadence.packet.split(':')
    this.#wire = wire
    this.#mode = mode
    this.#size = Math.max(1, Number(size))
  }

  async add (event: Buffer, isChunk: boolean): Promise<void> {
    this.#held.push(event)
    if (isChunk) this.#chunks++
    if (this.#mode !== 'merge' || this.#held.length >= this.#size) await this.flush()
  }

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
