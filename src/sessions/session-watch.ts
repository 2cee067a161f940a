import { Alarm } from '../chat/alarm.ts'
import { type SessionRepository } from '../store/sessions.ts'

// Together with one reading of the session, a change made elsewhere is known within a quarter of a second.
const LOOK_MS = 200

/**
 * Tells those who follow a session that something has happened in it. What happens in this process says so itself; what
 * happens elsewhere is found by one look at all sessions that are followed, again and again. Without followers there is
 * none.
 */
export class SessionWatch {
  readonly #sessions: SessionRepository
  readonly #followers = new Map<string, Set<() => void>>()
  /** What each session that is followed looked like. */
  readonly #marks = new Map<string, string>()
  readonly #alarm = new Alarm()
  #looking = false

  constructor (sessions: SessionRepository) {
    this.#sessions = sessions
  }

  /** Calls `listener` whenever something may have happened; returns how to stop that. */
  follow (sessionId: string, listener: () => void): () => void {
    const followers = this.#followers.get(sessionId) ?? new Set()
    this.#followers.set(sessionId, followers.add(listener))
    if (!this.#looking) void this.#look()
    return () => {
      followers.delete(listener)
      if (followers.size > 0) return
      this.#followers.delete(sessionId)
      this.#marks.delete(sessionId)
      if (this.#followers.size === 0) this.#alarm.ring()
    }
  }

  /** Something has happened in this session. */
  ring (sessionId: string): void {
    for (const listener of this.#followers.get(sessionId) ?? []) listener()
  }

  async #look (): Promise<void> {
    this.#looking = true
    while (this.#followers.size > 0) {
      // While the store is away, nothing happens; what has happened is found when it is back.
      await this.#compare().catch(() => {})
      if (this.#followers.size > 0) await this.#alarm.rest(LOOK_MS)
    }
    this.#looking = false
  }

  async #compare (): Promise<void> {
    const ids = [...this.#followers.keys()]
    const marks = await this.#sessions.marks(ids)
    for (const id of ids) {
      const mark = marks.get(id) ?? 'gone'
      if (mark === this.#marks.get(id) || !this.#followers.has(id)) continue
      this.#marks.set(id, mark)
      this.ring(id)
    }
  }
}
