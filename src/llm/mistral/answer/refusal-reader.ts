import { type ApiError } from '../../../errors.ts'
import { type AnswerListener, type AnswerReader } from './answer-reader.ts'

// Enough for the error pages of gateways; the log gets less.
const MAX_REFUSAL_BYTES = 16 * 1024

/** Reads the body of an answer that is already known to be a failure, as far as it is worth. */
export class RefusalReader implements AnswerReader {
  readonly #error: ApiError
  readonly #listener: Pick<AnswerListener<never>, 'fail'>
  readonly #chunks: Buffer[] = []
  #size = 0

  /** `error` is what the status or the content type stands for. */
  constructor (error: ApiError, listener: Pick<AnswerListener<never>, 'fail'>) {
    this.#error = error
    this.#listener = listener
  }

  bytes (chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size > MAX_REFUSAL_BYTES) this.ended()
  }

  ended (): void {
    this.#listener.fail(this.#error, Buffer.concat(this.#chunks).toString('utf8'))
  }

  /** Why the rest is missing does not matter. */
  broken (): void {
    this.ended()
  }
}
