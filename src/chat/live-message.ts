import { type ApiError } from '../errors.ts'
import { type Message } from '../store/messages.ts'
import { type FollowedMessage, Listeners } from './followed-message.ts'

/** Why a running turn is told to end before the model does. `lost`: somebody else has ended it already. */
export type EndReason = 'stopped' | 'interrupted' | 'lost'

/** What aborts a running turn. */
export class TurnEnd extends Error {
  override readonly name = 'TurnEnd'
  readonly reason: EndReason

  constructor (reason: EndReason) {
    super(`the turn was ${reason}`)
    this.reason = reason
  }
}

/** A bot message that this process is writing. */
export class LiveMessage implements FollowedMessage {
  readonly userMessage: Message
  botMessage: Message
  text = ''
  ended = false
  cause: ApiError | undefined
  failure: Error | undefined
  readonly #listeners = new Listeners()
  readonly #controller = new AbortController()

  constructor (userMessage: Message, botMessage: Message) {
    this.userMessage = userMessage
    this.botMessage = botMessage
  }

  /** Aborted with a `TurnEnd`. */
  get signal (): AbortSignal {
    return this.#controller.signal
  }

  abort (reason: EndReason): void {
    this.#controller.abort(new TurnEnd(reason))
  }

  append (text: string): void {
    this.text += text
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
