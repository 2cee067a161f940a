import { type GroupCommit } from './group-commit.ts'

/** The part of the driver's client that tells of commands. */
interface CommandSource {
  on (event: 'commandStarted' | 'commandSucceeded' | 'commandFailed', listener: () => void): unknown
}

/** How much the store has to answer: commands on their way, and callers whose writes go with the next one. */
export class StoreLoad {
  readonly #commits: GroupCommit
  readonly #most: number
  #commands = 0

  /** `most`: more than this would only wait. */
  constructor (source: CommandSource, commits: GroupCommit, most: number) {
    this.#commits = commits
    this.#most = most
    const ended = () => { this.#commands-- }
    source.on('commandStarted', () => { this.#commands++ })
    source.on('commandSucceeded', ended)
    source.on('commandFailed', ended)
  }

  isBusy (): boolean {
    return this.#commands + this.#commits.underway >= this.#most
  }
}
