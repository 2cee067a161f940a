/** How often something was counted in its window, and how long that window still lasts. */
export interface Count {
  readonly count: number
  readonly resetMs: number
}

/** Counts in fixed windows: each begins with the first count of its key, and the next one with the first count after it. */
export interface Counters {
  /** Counts once more, or `times` more, and tells the last count. Rejects while whatever keeps the counts is away. */
  count (key: string, windowMs: number, times?: number): Promise<Count>
}
