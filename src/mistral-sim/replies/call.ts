import { hex } from '../digest.ts'
import { type Settings } from '../options.ts'
import { type Cadence } from '../http/cadence.ts'
import { type PromptCache } from './usage.ts'

/** One call of a model, after the checks that are the same for every route. */
export interface Call {
  settings: Settings
  cadence: Cadence
  cache: PromptCache
  /** Number of the request since the last reset. */
  seq: number
  /** The body as canonical JSON. */
  canonical: string
  /** The text that a fault wants the reply to have, if any. */
  content: string | undefined
}

/** The id of the reply: 32 hexadecimal digits without a prefix. */
export function replyId (call: Call): string {
  return hex(call.canonical + String(call.seq), 32)
}

/** The time of the reply in seconds; it counts requests, so that two runs give the same. */
export function replyTime (call: Call): number {
  return call.settings.epoch + call.seq - 1
}
