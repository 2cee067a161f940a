import { ApiError } from '../../../errors.ts'
import { headerOf } from '../http/http-call.ts'
import { type AnswerListener, type Completion, type ReadAnswer } from './answer-reader.ts'
import { parseAnswer } from './parse-answer.ts'
import { StreamReader } from './stream-reader.ts'
import { WholeReader } from './whole-reader.ts'

const MAX_WHOLE_BYTES = 8 * 1024 * 1024

/** Reads a completion that was asked for in one piece. */
export const readWholeCompletion: ReadAnswer<Completion> = (_, listener) =>
  new WholeReader({ maxBytes: MAX_WHOLE_BYTES, listener, read: (body) => { readWhole(body, listener) } })

/** Reads a completion that was asked for as a stream. */
export const readStreamedCompletion: ReadAnswer<Completion> = (headers, listener) => {
  const type = headerOf(headers, 'content-type')?.toLowerCase() ?? ''
  if (type.startsWith('text/event-stream')) return new StreamReader(listener)
  // Some servers answer with the whole, or with an error and status 200.
  if (type.startsWith('application/json')) return readWholeCompletion(headers, listener)
  return new ApiError('upstream_failed', { detail: 'The model did not answer with a stream.' })
}

function readWhole (body: string, listener: AnswerListener<Completion>): void {
  const { text, unknownChunks, finishReason = 'stop', model, usage } = parseAnswer(body)
  if (unknownChunks > 0) listener.ignored(unknownChunks)
  if (text === '') throw new ApiError('upstream_failed', { detail: 'The model ended its answer without any text.' })
  listener.text(text)
  listener.complete({ finishReason, model, usage })
}
