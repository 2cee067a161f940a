import { Type, type Static } from '@sinclair/typebox'
import { closed, milliseconds, oneOf } from '../schemas/building-blocks.ts'

const fields = {
  firstDelayMs: milliseconds,
  chunkDelayMs: milliseconds,
  /** Words in a chunk of text. */
  tokensPerChunk: Type.Integer({ minimum: 1 }),
  /** One write per event, one per k events, or writes of so many bytes. */
  packet: Type.Union([
    Type.Literal('event'),
    Type.TemplateLiteral('merge:${number}'), // eslint-disable-line no-template-curly-in-string
    Type.TemplateLiteral('split:${number}') // eslint-disable-line no-template-curly-in-string
  ]),
  eol: oneOf('lf', 'crlf'),
  spaceAfterColon: Type.Boolean(),
  /** While waiting, a comment line every so many milliseconds; 0: none. */
  keepAliveCommentMs: milliseconds,
  /** The chunk that carries the usage: that with the finish reason, one of its own without choices, or none. */
  usageOn: oneOf('finish', 'extra-chunk', 'none'),
  /** Whether [DONE] closes the stream. */
  done: Type.Boolean(),
  holdOpenAfterDone: Type.Boolean(),
  /** Tool calls in one piece, or in fragments; absent: as the model does it. */
  toolStyle: Type.Optional(oneOf('whole', 'fragments'))
}

const Cadence = closed(fields)
/** How a stream is paced and packed. */
export type Cadence = Static<typeof Cadence>

/** Any part of a cadence. */
export const PartialCadence = Type.Partial(Cadence)

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
