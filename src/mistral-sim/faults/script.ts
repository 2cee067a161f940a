import { type BodyShape } from '../errors/api-failure.ts'
import { type Cadence } from '../http/stream.ts'

/** Where in a reply a fault begins. For a reply that is not streamed, a chunk is half of the body. */
export interface AfterChunks { chunks: number }

/** What goes wrong with one request. Several keys together are all applied. */
export interface Fault {
  /** An error reply; `bodyShape` is the API's usual one when absent. */
  status?: { code: number, bodyShape?: BodyShape, headers?: Record<string, string> }
  /** Waits so long before the first byte of the reply. */
  latencyMs?: number
  /** Never answers. */
  hang?: true
  /** Sends so many chunks, then nothing, and keeps the connection open. */
  hangAfter?: AfterChunks
  /** Resets the connection inside the header block, or after so many chunks. */
  reset?: { at: 'headers' } | { afterChunks: number }
  /** Ends the reply cleanly and too early: without finish reason and [DONE]. */
  truncate?: true | AfterChunks
  /** One chunk in the middle is not JSON. */
  malformed?: 'badJson'
  /** In the middle, in place of the rest: a bare error object, a nested one, or a finish reason `error`. */
  errorChunk?: 'mistral' | 'openai' | 'finish_reason'
  /** A reply without any text. */
  emptyContent?: true
}

/** Which requests an entry is for; what is absent matches everything. */
export interface Match {
  /** The path, as `/v1/chat/completions`. */
  route?: string
  model?: string
  /** A part of the request's raw body. */
  textIncludes?: string
  /** Only the nth request, from 1, of those that match otherwise. */
  nth?: number
}

/** One entry of the script: the fault or the manner of the next `times` (default 1) matching requests. */
export interface ScriptEntry {
  match?: Match
  times?: number
  fault?: Fault
  /** How their stream comes, over the simulator's own setting. */
  cadence?: Partial<Cadence>
}

interface Pending extends ScriptEntry {
  left: number
  seen: number
}

/** The script: first in, first out. */
export class FaultScript {
  #entries: Pending[] = []

  add (entries: readonly ScriptEntry[]): void {
    this.#entries.push(...entries.map((entry) => ({ ...entry, left: entry.times ?? 1, seen: 0 })))
  }

  clear (): void {
    this.#entries = []
  }

  /** The first entry for this request, which is used up by it. */
  take (path: string, rawBody: string, model: unknown): ScriptEntry | undefined {
    const entry = this.#entries.find((candidate) => isFor(candidate, path, rawBody, model))
    if (entry !== undefined && --entry.left <= 0) this.#entries = this.#entries.filter((other) => other !== entry)
    return entry
  }
}

function isFor (entry: Pending, path: string, rawBody: string, model: unknown): boolean {
  const { route, model: wanted, textIncludes, nth } = entry.match ?? {}
  if (route !== undefined && route !== path) return false
  if (wanted !== undefined && wanted !== model) return false
  if (textIncludes !== undefined && !rawBody.includes(textIncludes)) return false
  entry.seen++
  return nth === undefined || nth === entry.seen
}
