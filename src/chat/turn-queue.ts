import { ApiError } from '../errors.ts'

// How many may wait for one session; the contract names it.
const MAX_WAITING = 32

interface Line {
  length: number
  tail: Promise<void>
}

/** Those who wait for the turn of a session, in order of arrival. */
export class TurnQueue {
  readonly #lines = new Map<string, Line>()

  /** Resolves when all who came before have left; call what it returns to leave. Throws `overloaded`. */
  async join (sessionId: string): Promise<() => void> {
    const line = this.#lines.get(sessionId) ?? { length: 0, tail: Promise.resolve() }
    if (line.length >= MAX_WAITING) {
      throw new ApiError('overloaded', { detail: 'Too many messages wait for this session.', headers: { 'retry-after': '5' } })
    }
    this.#lines.set(sessionId, line)
    line.length++
    const before = line.tail
    const { promise, resolve } = Promise.withResolvers<void>()
    line.tail = promise
    await before
    return () => {
      line.length--
      if (line.length === 0) this.#lines.delete(sessionId)
      resolve()
    }
  }
}
