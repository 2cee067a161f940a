import { ApiError } from '../../../errors.ts'
import { type Usage } from '../../provider.ts'
import { type AnswerListener, type AnswerReader, type Completion } from './answer-reader.ts'
import { parseAnswer } from './parse-answer.ts'
import { createSseDecoder } from './sse-events.ts'

// The longest reply (8192 tokens, a chunk of some 300 bytes each) is under 3 MiB.
const MAX_STREAM_BYTES = 32 * 1024 * 1024

/** Reads an answer that comes as server-sent events, in packets cut anywhere. */
export class StreamReader implements AnswerReader {
  readonly #listener: AnswerListener<Completion>
  readonly #decoder = createSseDecoder({
    event: (data) => { if (!this.#done) this.#event(data) },
    oversize: () => this.#fail('The model sent a chunk that is too large.')
  })

  #done = false
  #size = 0
  #wrote = false
  #finishReason: string | undefined
  #model: string | undefined
  #usage: Usage | undefined

  constructor (listener: AnswerListener<Completion>) {
    this.#listener = listener
  }

  bytes (chunk: Buffer): void {
    this.#size += chunk.length
    if (this.#size > MAX_STREAM_BYTES) this.#fail('The model sent an answer that is too large.')
    else this.#decoder.feed(chunk)
  }

  ended (): void {
    // After a finish reason a remnant can only spoil what is complete.
    if (this.#finishReason === undefined) this.#decoder.flush()
    this.broken(new ApiError('upstream_failed', { detail: 'The model\'s answer is cut off.' }))
  }

  broken (error: ApiError): void {
    // A finish reason ends the text: what is missing after it is at most the usage and the closing mark.
    if (this.#finishReason !== undefined) this.#complete()
    else this.#settle(() => this.#listener.fail(error))
  }

  #event (data: string): void {
    const json = data.trim()
    if (json === '') return
    if (json === '[DONE]') this.#complete()
    else this.#chunk(json)
  }

  #chunk (json: string): void {
    let part
    try {
      part = parseAnswer(json)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return this.#settle(() => this.#listener.fail(error, json))
    }
    this.#finishReason ??= part.finishReason
    this.#model = part.model ?? this.#model
    this.#usage = part.usage ?? this.#usage
    if (part.unknownChunks > 0) this.#listener.ignored(part.unknownChunks)
    if (part.text !== '') {
      this.#wrote = true
      this.#listener.text(part.text)
    } else if (this.#wrote) {
      this.#listener.alive()
    }
  }

  #complete (): void {
    if (!this.#wrote) return this.#fail('The model ended its answer without any text.')
    const completion = { finishReason: this.#finishReason ?? 'stop', model: this.#model, usage: this.#usage }
    this.#settle(() => this.#listener.complete(completion))
  }

  #fail (detail: string): void {
    this.#settle(() => this.#listener.fail(new ApiError('upstream_failed', { detail })))
  }

  #settle (tell: () => void): void {
    if (this.#done) return
    this.#done = true
    tell()
  }
}
