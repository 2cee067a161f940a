import { type ApiError } from '../errors.ts'
import { type Message } from '../store/message.ts'
import { type FollowedMessage, Listeners } from './followed-message.ts'

/** Why a running turn is told to end before the model does: `deleted`, its session is; `lost`, somebody else has ended it already. */
export type EndReason = 'stopped' | 'deleted' | 'interrupted' | 'lost'

/** What aborts a running turn. */
export class TurnEnd extends Error {
  override readonly name = 'TurnEnd'
  readonly reason: EndReason

  constructor (reason: EndReason) {
    super(`the turn was ${reason}`)
    this.reason = reason
  }
}

const HIGH_SURROGATE = /[\uD800-\uDBFF]$/

/** A bot message that this process is writing. */
export class LiveMessage implements FollowedMessage {
  botMessage: Message
  text = ''
  ended = false
  cause: ApiError | undefined
  failure: Error | undefined
  attempts = 0
  readonly #listeners = new Listeners()
  readonly #controller = new AbortController()
  #half = ''

  constructor (botMessage: Message) {
    this.botMessage = botMessage
  }

  /** Aborted with a `TurnEnd`. */
  get signal (): AbortSignal {
    return this.#controller.signal
  }

  abort (reason: EndReason): void {
    this.#controller.abort(new TurnEnd(reason))
  }

  /** Half a character waits for its other half: the store keeps whole ones only, and readers elsewhere read it there. */
  append (text: string): void {
    const all = this.#half + text
    const end = HIGH_SURROGATE.test(all) ? all.length - 1 : all.length
    this.#half = all.slice(end)
    this.text += all.slice(0, end).toWellFormed()
    this.#listeners.notify()
  }

  end (botMessage: Message, cause?: ApiError): void {
    this.cause = cause
    this.botMessage = botMessage
    this.text = botMessage.content
    this.ended = true
    this.#listeners.notify()
  }

  fail (failure: Error): void {
    this.failure = failure
    this.#listeners.notify()
  }

  subscribe (listener: () => void): () => void {
    return this.#listeners.add(listener)
  }
}
