import { describeError } from '../../src/logging.ts'

const WINDOW_MS = 60_000
const OF_A_KIND = 5
const OF_ALL = 60

/** How many errors are reported in a minute: a few of each kind, which is its type and the places it came by, and not many of all. */
export class ReportBudget {
  readonly #now: () => number
  #since = -Infinity
  #all = 0
  readonly #ofKind = new Map<string, number>()

  constructor (now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Whether one more may be reported; then it is counted. */
  allows (error: unknown): boolean {
    const now = this.#now()
    if (now - this.#since >= WINDOW_MS) {
      this.#since = now
      this.#all = 0
      this.#ofKind.clear()
    }
    if (this.#all >= OF_ALL) return false
    const { type, stack } = describeError(error)
    const kind = `${type}\n${stack}`
    const count = this.#ofKind.get(kind) ?? 0
    if (count >= OF_A_KIND) return false
    this.#all++
    this.#ofKind.set(kind, count + 1)
    return true
  }
}
