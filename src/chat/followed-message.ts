import { ApiError } from '../errors.ts'
import { type Message } from '../store/message.ts'

/** A bot message that a reader follows while it grows, wherever it is being written. */
export interface FollowedMessage {
  /** The message as it was when following began, or as it ended. */
  readonly botMessage: Message
  /** The text so far. It only ever grows. */
  readonly text: string
  /** True: `botMessage` is final and `text` complete. */
  readonly ended: boolean
  /** Why the message is `failed`, as far as this process knows more than the message itself says. */
  readonly cause: ApiError | undefined
  /** Set: nothing more can be learned about this message here, and why. */
  readonly failure: Error | undefined
  /** How often a model was called for it, where this process writes it. */
  readonly attempts?: number
  /** Calls `listener` after every change; returns how to stop that. */
  subscribe (listener: () => void): () => void
}

/** What a process that goes away tells those whom it cannot serve any more. */
export const goingDown = () => new ApiError('overloaded', { detail: 'The server is going down.', headers: { 'retry-after': '1' } })

/** Waits for the end of a message. Rejects with its `failure`, and with `overloaded` once `closing` is aborted. */
export async function untilEnd (followed: FollowedMessage, closing?: AbortSignal): Promise<Message> {
  return await new Promise((resolve, reject) => {
    const check = () => {
      if (followed.failure !== undefined) reject(followed.failure)
      else if (followed.ended) resolve(followed.botMessage)
      else if (closing?.aborted) reject(goingDown())
      else return
      unsubscribe()
      closing?.removeEventListener('abort', check)
    }
    const unsubscribe = followed.subscribe(check)
    closing?.addEventListener('abort', check)
    check()
  })
}

/** The bookkeeping of listeners that every followed message shares. */
export class Listeners {
  readonly #listeners = new Set<() => void>()

  add (listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  notify (): void {
    for (const listener of this.#listeners) listener()
  }

  get size (): number {
    return this.#listeners.size
  }
}
