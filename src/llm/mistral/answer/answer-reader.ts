import { type ApiError } from '../../../errors.ts'
import { type Usage } from '../../provider.ts'
import { type ResponseHeaders } from '../http/http-call.ts'

/** How a model ended its answer. `finishReason` is `stop` when it did not say. */
export interface Completion {
  readonly finishReason: string
  /** The model's own name for itself, when it gave one. */
  readonly model: string | undefined
  readonly usage: Usage | undefined
}

/** What a reader makes of a body: texts, then exactly one of `complete` and `fail`; then it is given nothing more. */
export interface AnswerListener<T> {
  text (text: string): void
  /** Something else came: an event without text, after there was text; a part of a whole answer. */
  alive (): void
  /** Parts of the content were left out, because their type is not known. */
  ignored (chunks: number): void
  /** `value`: what the answer comes to. */
  complete (value: T): void
  /** `body`: what the model sent, for the log. */
  fail (error: ApiError, body?: string): void
}

/** Reads the body of one answer. */
export interface AnswerReader {
  bytes (chunk: Buffer): void
  ended (): void
  /** The rest will not come; `error` tells why. */
  broken (error: ApiError): void
}

/** Chooses the reader for a good answer by its head; an error for an answer of the wrong kind. */
export type ReadAnswer<T> = (headers: ResponseHeaders, listener: AnswerListener<T>) => AnswerReader | ApiError
