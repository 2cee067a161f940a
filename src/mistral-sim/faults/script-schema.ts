import { Type } from '@sinclair/typebox'
import { closed, maybe, oneOf } from '../schemas/building-blocks.ts'

const count = Type.Integer({ minimum: 0 })
const afterChunks = closed({ chunks: count })

const FaultSchema = closed({
  status: maybe(closed({
    code: Type.Integer({ minimum: 200, maximum: 599 }),
    bodyShape: maybe(oneOf('mistral', 'detail', 'wrapped', 'string', 'conversation', 'gateway', 'notice', 'guardrail',
      'html', 'empty')),
    headers: maybe(Type.Record(Type.String(), Type.String()))
  })),
  latencyMs: maybe(count),
  hang: maybe(Type.Literal(true)),
  hangAfter: maybe(afterChunks),
  reset: maybe(Type.Union([closed({ at: Type.Literal('headers') }), closed({ afterChunks: count })])),
  truncate: maybe(Type.Union([Type.Literal(true), afterChunks])),
  malformed: maybe(Type.Literal('badJson')),
  errorChunk: maybe(oneOf('mistral', 'openai', 'finish_reason')),
  emptyContent: maybe(Type.Literal(true))
})

const CadenceSchema = closed({
  firstDelayMs: maybe(count),
  chunkDelayMs: maybe(count),
  tokensPerChunk: maybe(Type.Integer({ minimum: 1 })),
  packet: maybe(Type.Union([
    Type.Literal('event'),
    Type.TemplateLiteral('merge:${number}'), // eslint-disable-line no-template-curly-in-string
    Type.TemplateLiteral('split:${number}') // eslint-disable-line no-template-curly-in-string
  ])),
  eol: maybe(oneOf('lf', 'crlf')),
  spaceAfterColon: maybe(Type.Boolean()),
  keepAliveCommentMs: maybe(count),
  usageOn: maybe(oneOf('finish', 'extra-chunk', 'none')),
  toolStyle: maybe(oneOf('whole', 'fragments')),
  done: maybe(Type.Boolean()),
  holdOpenAfterDone: maybe(Type.Boolean())
})

/** The body of POST /__sim/script: the entries that `script()` takes. */
export const ScriptSchema = Type.Array(closed({
  match: maybe(closed({
    route: maybe(Type.String()),
    model: maybe(Type.String()),
    textIncludes: maybe(Type.String()),
    nth: maybe(Type.Integer({ minimum: 1 }))
  })),
  times: maybe(Type.Integer({ minimum: 1 })),
  fault: maybe(FaultSchema),
  cadence: maybe(CadenceSchema)
}), { maxItems: 1000 })
