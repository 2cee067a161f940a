import { ApiError } from '../../../errors.ts'
import { type AnswerListener, type AnswerReader } from './answer-reader.ts'
import { parseAnswer } from './parse-answer.ts'

const MAX_BODY_BYTES = 8 * 1024 * 1024

/** Reads an answer that comes in one JSON document. */
export class WholeReader implements AnswerReader {
  readonly #listener: AnswerListener
  readonly #chunks: Buffer[] = []
  #size = 0

  constructor (listener: AnswerListener) {
    this.#listener = listener
  }

  bytes (chunk: Buffer): void {
    this.#size += chunk.length
    if (this.#size > MAX_BODY_BYTES) {
      this.#listener.fail(new ApiError('upstream_failed', { detail: 'The model sent an answer that is too large.' }))
    } else {
      this.#listener.alive()
      this.#chunks.push(chunk)
    }
  }

  ended (): void {
    const body = this.#body()
    try {
      this.#read(body)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      this.#listener.fail(error, body)
    }
  }

  broken (error: ApiError): void {
    this.#listener.fail(error, this.#body())
  }

  #read (body: string): void {
    const { text, unknownChunks, finishReason = 'stop', model, usage } = parseAnswer(body)
    if (unknownChunks > 0) this.#listener.ignored(unknownChunks)
    if (text === '') throw new ApiError('upstream_failed', { detail: 'The model ended its answer without any text.' })
    this.#listener.text(text)
    this.#listener.complete({ finishReason, model, usage })
  }

  #body (): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }
}
