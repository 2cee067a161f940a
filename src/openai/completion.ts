import { Listeners } from '../chat/followed-message.ts'
import { ApiError } from '../errors.ts'
import { type GenerationEvent } from '../llm/provider.ts'
import { type Growing } from './growing.ts'

export type Finish = Extract<GenerationEvent, { type: 'end' }>

/** A reply that is not stored anywhere. */
export class Completion implements Growing {
  text = ''
  finish: Finish | undefined
  failure: Error | undefined
  readonly #listeners = new Listeners()

  get ended (): boolean {
    return this.finish !== undefined
  }

  /** Never rejects: every outcome is an end. */
  async run (events: AsyncIterable<GenerationEvent>): Promise<void> {
    try {
      for await (const event of events) {
        if (event.type === 'end') this.finish = event
        else this.text += event.text
        this.#listeners.notify()
      }
      if (!this.finish) throw new ApiError('upstream_failed', { detail: 'The model ended without saying so.' })
    } catch (error) {
      this.failure = error as Error
      this.#listeners.notify()
    }
  }

  subscribe (listener: () => void): () => void {
    return this.#listeners.add(listener)
  }
}
