import { setTimeout as delay } from 'node:timers/promises'
import { type Bus } from '../bus/bus.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type Endings } from './endings.ts'
import { untilEnd } from './followed-message.ts'
import { type LiveMessages } from './live-messages.ts'
import { type TurnTaking } from './turn-taking.ts'

const STOP = 'stop'
// A stop is promised within a second; this leaves the rest for ending a message whose writer does not.
const PATIENCE_MS = 700
const LOOK_MS = 50

/** Which replies are to end. */
export type StopOrder = { readonly messageId: string } | { readonly sessionId: string } | { readonly configId: string }

/** Ends running replies, wherever they run. */
export class Stopper {
  readonly #bus: Bus
  readonly #live: LiveMessages
  readonly #messages: MessageRepository
  readonly #endings: Endings
  readonly #turns: TurnTaking

  constructor (bus: Bus, live: LiveMessages, messages: MessageRepository, endings: Endings, turns: TurnTaking) {
    this.#bus = bus
    this.#live = live
    this.#messages = messages
    this.#endings = endings
    this.#turns = turns
    bus.subscribe(STOP, ({ messageId, sessionId, configId }) => live.abortWhere(
      (message) => message.id === messageId || message.sessionId === sessionId || message.configId === configId,
      messageId === undefined ? 'deleted' : 'stopped'
    ))
  }

  /** Tells all replicas to end what they write there, and does not wait for it. */
  abort (order: StopOrder): void {
    this.#bus.publish(STOP, order)
  }

  /** Ends a reply, with the text it has, and waits for that. */
  async stop (sessionId: string, messageId: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    let isAsked = false
    while (performance.now() < deadline) {
      const here = this.#live.get(messageId)
      if (here) {
        here.abort('stopped')
        await untilEnd(here)
        return
      }
      // One that is not there yet is about to be written.
      const message = await this.#messages.find(sessionId, messageId)
      if (message && message.status !== 'streaming') return
      // The process that writes it knows text and usage that the store does not have yet.
      if (message && !isAsked) this.abort({ messageId })
      isAsked = message !== undefined
      await delay(LOOK_MS)
    }
    // It is gone, or deaf; then it notices with its next write that the message is no longer streaming.
    if (await this.#endings.end(messageId, { status: 'stopped' })) await this.#turns.release(sessionId, messageId)
  }
}
