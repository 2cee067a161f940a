/** What names a message that is to be forgotten. */
export interface Forgotten {
  readonly tenantId: string
  readonly id: string
}

/** Finding what was said: an index of its own in the store, kept up to date in the background. */
export class Search {
  /**
   * Takes messages out of the index: no search finds them, and their words leave it within seconds. To be called after
   * they were hidden from readers (the message erased, its session marked or cleared), because what is being indexed
   * at that moment is looked at once more afterwards. Idempotent; made for batches of some hundreds.
   */
  async forget (_messages: readonly Forgotten[]): Promise<void> {}

  /** Ends the work in the background. */
  async close (): Promise<void> {}
}
