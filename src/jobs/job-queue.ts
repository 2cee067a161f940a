/** A job that this process has taken. */
export interface Job {
  readonly id: string
  /** Names the taking: whoever has another one, or whose lease lapsed and was taken by somebody else, changes nothing. */
  readonly lease: string
}

/**
 * Where jobs are kept. What is to be done and the job are one document, so that one write takes the work on and one ends
 * it. A group, `<owner>/<rest>`, is what must not take more than its share, such as an endpoint of a tenant.
 */
export interface JobQueue<J extends Job> {
  /** Groups that have something to do by now. Where there are very many, each call goes on where the last one ended. */
  dueGroups (): Promise<string[]>
  /** Takes the job of a group that has waited longest, for `leaseMs` by the store's clock. Undefined: nothing is due. */
  claim (group: string, leaseMs: number): Promise<J | undefined>
  /** Keeps a job for `leaseMs` more. False: it is not ours any more. */
  renew (job: J, leaseMs: number): Promise<boolean>
  /** Gives a job back that was not done: it is due at once. */
  release (job: J): Promise<void>
}
