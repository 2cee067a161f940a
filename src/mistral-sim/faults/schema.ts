import { Type, type Static } from '@sinclair/typebox'
import { BODY_SHAPES } from '../errors/bodies.ts'
import { PartialCadence } from '../http/cadence.ts'
import { closed, maybe, milliseconds, oneOf } from '../schemas/building-blocks.ts'

const MAX_OVERSIZE = 64 * 1024 * 1024

// A fraction is a place inside a chunk.
const chunks = Type.Number({ minimum: 0 })
const yes = maybe(Type.Literal(true))
const bodyShape = maybe(oneOf(...BODY_SHAPES))
const headers = Type.Record(
  Type.String({ pattern: '^[!#$%&\'*+.^_`|~0-9A-Za-z-]+$' }),
  Type.String({ pattern: '^[\\t\\x20-\\x7e]*$' }),
  { additionalProperties: false }
)

const errorForm = oneOf('mistral', 'openai', 'finish_reason')

/** What can go wrong with one request: each key is one fault, and several together are all applied. */
export const Fault = closed({
  /** An error reply in place of the real one, by default in the API's usual form. */
  status: maybe(closed({
    code: Type.Integer({ minimum: 200, maximum: 599 }),
    bodyShape,
    headers: maybe(headers),
    /** When to come again: a number of seconds, or the time that is then. Absent: no such header. */
    retryAfter: maybe(closed({ seconds: Type.Integer({ minimum: 0 }), as: maybe(oneOf('seconds', 'date')) }))
  })),
  /** The body of that error in a reply with status 200. */
  errorInside200: maybe(closed({ code: Type.Integer({ minimum: 400, maximum: 599 }), bodyShape })),
  /** Waits before the first byte of the reply. */
  latencyMs: maybe(milliseconds),
  /** Never answers. */
  hang: yes,
  /** Sends so many chunks, then nothing, and keeps the connection open. */
  hangAfter: maybe(closed({ chunks })),
  /**
   * Resets the connection: as soon as it is there, when the request has been read, inside the header block, or after so
   * many chunks.
   */
  reset: maybe(Type.Union([closed({ at: oneOf('accept', 'request', 'headers') }), closed({ afterChunks: chunks })])),
  /** Ends the reply cleanly and too early: without finish reason and [DONE]; true: half-way. */
  truncate: maybe(Type.Union([Type.Literal(true), closed({ chunks })])),
  /** One chunk in the middle is not what it should be. */
  malformed: maybe(oneOf('badJson', 'unknownChunkType', 'missingChoices', 'emptyChoices', 'usageNull',
    'duplicateFinish')),
  /** An error in place of what follows: a bare object, a nested one, or a finish reason `error`. */
  errorChunk: maybe(Type.Union([errorForm, closed({ form: errorForm, chunks })])),
  /** A reply without any text. */
  emptyContent: yes,
  /** A reply with this text, whatever was asked for; `max_tokens` and `stop` still cut it. */
  content: maybe(Type.String()),
  /** The body comes at this pace. */
  trickle: maybe(closed({ bytesPerSec: Type.Number({ exclusiveMinimum: 0 }) })),
  /** The body is announced as this, whatever it is; `none`: as nothing. */
  contentType: maybe(oneOf('text/html', 'application/json', 'none')),
  /** One chunk is so many bytes too large. */
  oversize: maybe(closed({ bytes: Type.Integer({ minimum: 1, maximum: MAX_OVERSIZE }) })),
  /** The body is compressed, whether that was asked for or not. */
  gzip: yes,
  /** The announced length is more than what comes before the connection ends, or less. */
  wrongLength: maybe(oneOf('tooLong', 'tooShort'))
})
export type Fault = Static<typeof Fault>

const Match = closed({
  /** The path, as `/v1/chat/completions`. */
  route: maybe(Type.String()),
  model: maybe(Type.String()),
  /** A part of the request's raw body. */
  textIncludes: maybe(Type.String()),
  /** Only the nth request, from 1, of those that match otherwise. */
  nth: maybe(Type.Integer({ minimum: 1 }))
})
/** Which requests an entry is for; what is absent matches everything. */
export type Match = Static<typeof Match>

const ScriptEntry = closed({
  match: maybe(Match),
  /** How often the entry is used, default 1. */
  times: maybe(Type.Union([Type.Literal('always'), Type.Integer({ minimum: 1 })])),
  /** The share of matching requests that get it; the others go on to the next entry. Default 1. */
  probability: maybe(Type.Number({ minimum: 0, maximum: 1 })),
  /** One fault, or several, of which each request gets one at random. */
  fault: maybe(Type.Union([Fault, Type.Array(Fault, { minItems: 1 })])),
  /** How the stream comes, over the simulator's own setting. */
  cadence: maybe(PartialCadence)
})
/** One entry of the script: what happens to the next matching requests. */
export type ScriptEntry = Static<typeof ScriptEntry>

/** A script: entries are used first in, first out. */
export const Script = Type.Array(ScriptEntry, { maxItems: 1000 })
