import { type Telling } from '../chat/telling.ts'
import { asApiError } from './completions.ts'
import { toOpenAi } from './errors.ts'
import { type Growing } from './growing.ts'
import { endOfPiece } from './pieces.ts'
import { hasItem, outputItem, presentResponse, type ResponseState } from './response-object.ts'

const DONE = 'data: [DONE]\n\n'

/** A response that is told while it grows, or when it is over: to the letter the same. */
export interface ToldResponse {
  readonly growing: Growing
  /** As it is now. */
  readonly state: () => ResponseState
}

/**
 * The events of a response. Their numbers follow from its text alone, so that a reader may go on anywhere behind any of
 * them. `after`: the last one that the reader has.
 */
export class ResponseTelling implements Telling {
  // Who has to leave comes back with the last number.
  readonly farewell = ''
  readonly #told: ToldResponse
  readonly #after: number
  /** Of the next event. */
  #number = 0
  /** How much of the text has been told. */
  #at = 0
  #hasItem = false

  constructor (told: ToldResponse, after = -1) {
    this.#told = told
    this.#after = after
  }

  subscribe (listener: () => void): () => void {
    return this.#told.growing.subscribe(listener)
  }

  news (): string {
    const { text } = this.#told.growing
    let frames = this.#number === 0 ? this.#begin() : ''
    for (let end = endOfPiece(text, this.#at); end !== undefined; end = endOfPiece(text, this.#at)) frames += this.#piece(text, end)
    return frames
  }

  end (): string | undefined {
    const { growing, state } = this.#told
    if (growing.ended) return this.#finish(state())
    if (growing.failure === undefined) return undefined
    const { error: { message, code, param } } = toOpenAi(asApiError(growing.failure)).body
    return this.#frame('error', { code, message, param }) + DONE
  }

  #begin (): string {
    const response = presentResponse({ ...this.#told.state(), status: 'in_progress', text: '', endedAt: undefined, error: undefined })
    return this.#frame('response.created', { response }) + this.#frame('response.in_progress', { response })
  }

  #piece (text: string, end: number): string {
    const opening = this.#hasItem ? '' : this.#open()
    const delta = text.slice(this.#at, end)
    this.#at = end
    return opening + this.#frame('response.output_text.delta', { ...this.#place(), delta, logprobs: [] })
  }

  #open (): string {
    this.#hasItem = true
    const item = { ...outputItem({ ...this.#told.state(), status: 'in_progress' }), content: [] }
    const part = { type: 'output_text', text: '', annotations: [], logprobs: [] }
    return this.#frame('response.output_item.added', { output_index: 0, item }) + this.#frame('response.content_part.added', { ...this.#place(), part })
  }

  #finish (state: ResponseState): string {
    const { text, status } = state
    let frames = text.length > this.#at ? this.#piece(text, text.length) : ''
    if (hasItem(state)) {
      if (!this.#hasItem) frames += this.#open()
      const item = outputItem(state)
      frames += this.#frame('response.output_text.done', { ...this.#place(), text, logprobs: [] })
      frames += this.#frame('response.content_part.done', { ...this.#place(), part: item.content[0] })
      frames += this.#frame('response.output_item.done', { output_index: 0, item })
    }
    // A process that died may have told more than it had stored: then the end still comes behind that.
    if (this.#after > this.#number) this.#number = this.#after + 1
    const type = status === 'completed' || status === 'failed' ? status : 'incomplete'
    return frames + this.#frame(`response.${type}`, { response: presentResponse(state) }) + DONE
  }

  #place () {
    return { item_id: this.#told.state().itemId, output_index: 0, content_index: 0 }
  }

  #frame (type: string, members: object): string {
    const number = this.#number++
    return number > this.#after ? `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: number, ...members })}\n\n` : ''
  }
}
