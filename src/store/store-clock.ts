import { type Db } from 'mongodb'

const TRUSTED_MS = 30_000

/**
 * The store's time without asking each time: it was asked a while ago, and this process can count. Never ahead of it, and
 * behind it by as long as the answer took.
 */
export class StoreClock {
  readonly #db: Db
  #readAt = -Infinity
  #time = 0

  constructor (db: Db) {
    this.#db = db
  }

  async now (): Promise<number> {
    const elapsed = performance.now() - this.#readAt
    if (elapsed < TRUSTED_MS) return Math.floor(this.#time + elapsed)
    this.#time = ((await this.#db.command({ hello: 1 }))['localTime'] as Date).getTime()
    this.#readAt = performance.now()
    return this.#time
  }
}
