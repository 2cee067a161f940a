import { type Db } from 'mongodb'

const TRUSTED_MS = 30_000

/**
 * The store's time without asking each time: it was told a while ago, and this process can count. Never ahead of it, and
 * behind it by as long as the fastest answer since took.
 */
export class StoreClock {
  readonly #db: Db
  #readAt = -Infinity
  /** The store's time at the zero of `performance.now()`, at least. */
  #origin = -Infinity

  constructor (db: Db) {
    this.#db = db
  }

  async now (): Promise<number> {
    if (!this.#isTrusted()) this.tell((await this.#db.command({ hello: 1 }))['localTime'] as Date)
    return Math.floor(this.#origin + performance.now())
  }

  /** Something that the store has just answered was dated by it. */
  tell (date: Date): void {
    const now = performance.now()
    const origin = date.getTime() - now
    if (this.#isTrusted()) {
      this.#origin = Math.max(this.#origin, origin)
    } else {
      this.#origin = origin
      this.#readAt = now
    }
  }

  #isTrusted (): boolean {
    return performance.now() - this.#readAt < TRUSTED_MS
  }
}
