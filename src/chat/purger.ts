import { setTimeout as delay } from 'node:timers/promises'
import { type ChatbotRepository } from '../store/chatbots.ts'
import { type MessageRepository } from '../store/messages.ts'
import { type SessionRepository } from '../store/sessions.ts'
import { type TurnTaking } from './turn-taking.ts'

const BATCH = 100
const TURN_CHECK_MS = 50

/** Removes what was deleted: readers cannot see it any more, so this can take its time and start over after a crash. */
export class Purger {
  readonly #chatbots: ChatbotRepository
  readonly #sessions: SessionRepository
  readonly #messages: MessageRepository
  readonly #turns: TurnTaking
  #running: Promise<void> | undefined
  #again = false
  #closed = false

  constructor (chatbots: ChatbotRepository, sessions: SessionRepository, messages: MessageRepository, turns: TurnTaking) {
    this.#chatbots = chatbots
    this.#sessions = sessions
    this.#messages = messages
    this.#turns = turns
  }

  /** Purges all there is; resolves when that is done. A call during a run makes it start over. */
  async run (): Promise<void> {
    this.#again = true
    this.#running ??= this.#loop().finally(() => { this.#running = undefined })
    await this.#running
  }

  /** Ends a run between two sessions, or while it waits for one. */
  async close (): Promise<void> {
    this.#closed = true
    await this.#running?.catch(() => {})
  }

  async #loop (): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false
      await this.#purgeSessions()
      for (const configId of await this.#chatbots.deleted(BATCH)) {
        while (!this.#closed && await this.#sessions.markDeletedOf(configId, BATCH)) await this.#purgeSessions()
        if (!await this.#sessions.anyOf(configId)) await this.#chatbots.purge(configId)
      }
    }
  }

  async #purgeSessions (): Promise<void> {
    let ids: string[]
    do {
      ids = await this.#sessions.deleted(BATCH)
      for (const id of ids) {
        if (!await this.#endTurn(id)) return
        await this.#messages.deleteOf(id)
        await this.#sessions.purge(id)
      }
    } while (ids.length === BATCH)
  }

  /** Waits for a turn that is still running, here or elsewhere: what it writes must not come after the purge. False: closed. */
  async #endTurn (sessionId: string): Promise<boolean> {
    while (!this.#closed) {
      const held = await this.#turns.check(sessionId)
      if (!held) return true
      if (held.turn.lapsed) {
        await this.#turns.recover(held)
        return true
      }
      await this.#messages.end(held.turn.messageId, { status: 'stopped' })
      await delay(TURN_CHECK_MS)
    }
    return false
  }
}
