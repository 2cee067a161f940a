/** Something that is told to a reader as server-sent events while it grows. */
export interface Telling {
  /** What has come since it was last asked, as frames; empty: nothing. */
  news (): string
  /** The last frames; undefined: it is not over. All news have been told. */
  end (): string | undefined
  /** The last frames for a reader who is sent away before the end. */
  readonly farewell: string
  /** Calls `listener` after every change; returns how to stop that. */
  subscribe (listener: () => void): () => void
}
