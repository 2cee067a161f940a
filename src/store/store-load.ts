import { type GroupCommit } from './group-commit.ts'

/** The part of the driver's client that tells of commands. */
interface CommandSource {
  on (event: 'commandStarted' | 'commandSucceeded' | 'commandFailed', listener: () => void): unknown
}

// Who has said nothing for so long is not busy but away, and the driver tells of that.
const SILENT_MS = 1000

/** How much the store has to answer: commands on their way, and callers whose writes go with the next one. */
export class StoreLoad {
  readonly #commits: GroupCommit
  readonly #most: number
  readonly #now: () => number
  #commands = 0
  #answeredAt = 0

  /** `most`: more than this would only wait. */
  constructor (source: CommandSource, commits: GroupCommit, most: number, now = () => performance.now()) {
    this.#commits = commits
    this.#most = most
    this.#now = now
    const ended = () => {
      this.#commands--
      this.#answeredAt = now()
    }
    source.on('commandStarted', () => { this.#commands++ })
    source.on('commandSucceeded', ended)
    source.on('commandFailed', ended)
  }

  /** Whether it has as much to do as it can, and does it. */
  isBusy (): boolean {
    return this.#commands + this.#commits.underway >= this.#most && this.#now() - this.#answeredAt < SILENT_MS
  }
}
