/** A request that is not made, or has not got an answer, and why: a word for programs, and what a person may know. */
export class OutgoingError extends Error {
  override readonly name = 'OutgoingError'
  readonly reason: OutgoingFailure

  constructor (reason: OutgoingFailure, message: string) {
    super(message)
    this.reason = reason
  }
}

export type OutgoingFailure = 'refused' | 'unknown_host' | 'unreachable' | 'tls_failed' | 'timed_out' | 'broken' | 'dropped'
