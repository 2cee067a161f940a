import { ApiError } from '../../../errors.ts'
import { type AnswerListener, type AnswerReader } from './answer-reader.ts'

export interface WholeOptions {
  readonly maxBytes: number
  readonly listener: Pick<AnswerListener<never>, 'alive' | 'fail'>
  /** Is given the body, all of it. Throws `ApiError` for one that is not what it should be. */
  readonly read: (body: string) => void
}

/** Reads an answer that comes in one JSON document. */
export class WholeReader implements AnswerReader {
  readonly #options: WholeOptions
  readonly #chunks: Buffer[] = []
  #size = 0

  constructor (options: WholeOptions) {
    this.#options = options
  }

  bytes (chunk: Buffer): void {
    const { maxBytes, listener } = this.#options
    this.#size += chunk.length
    if (this.#size > maxBytes) {
      listener.fail(new ApiError('upstream_failed', { detail: 'The model sent an answer that is too large.' }))
    } else {
      listener.alive()
      this.#chunks.push(chunk)
    }
  }

  ended (): void {
    const body = this.#body()
    try {
      this.#options.read(body)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      this.#options.listener.fail(error, body)
    }
  }

  broken (error: ApiError): void {
    this.#options.listener.fail(error, this.#body())
  }

  #body (): string {
    return Buffer.concat(this.#chunks).toString('utf8')
  }
}
