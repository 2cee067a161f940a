import { type MessageRepository } from '../store/messages.ts'
import { type Endings } from './endings.ts'
import { interruption, type TurnTaking } from './turn-taking.ts'

const BATCH = 200

/** Ends the turns that crashed processes left behind. Any replica may; the writes are guarded, so that one wins. */
export class Reaper {
  readonly #messages: MessageRepository
  readonly #endings: Endings
  readonly #turns: TurnTaking
  /** Streaming messages without a turn, as seen last time. */
  #orphans = new Set<string>()

  constructor (messages: MessageRepository, endings: Endings, turns: TurnTaking) {
    this.#messages = messages
    this.#endings = endings
    this.#turns = turns
  }

  /** Ends the turn of one session, if its process has died. */
  async recover (sessionId: string): Promise<void> {
    const held = await this.#turns.check(sessionId)
    if (held?.turn.lapsed) await this.#turns.recover(held)
  }

  /** One pass over all that streams, except what `isOurs` says this process is writing. */
  async pass (isOurs: (messageId: string) => boolean): Promise<void> {
    const orphans = new Set<string>()
    for (const { id, sessionId } of await this.#messages.streaming(BATCH)) {
      if (isOurs(id)) continue
      const held = await this.#turns.check(sessionId)
      if (held?.turn.messageId === id) {
        if (held.turn.lapsed) await this.#turns.recover(held)
      } else if (this.#orphans.has(id)) {
        await this.#endings.end(id, interruption)
      } else {
        // The end of a turn releases it and ends its message at once; between the two this is no orphan. Look again.
        orphans.add(id)
      }
    }
    this.#orphans = orphans
  }
}
