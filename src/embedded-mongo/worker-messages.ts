/** What the controller hands over. */
export interface WorkerOptions {
  dataDir: string
  /** Also listen on this port of 127.0.0.1; 0: any free one. */
  port: number | undefined
  sweepIntervalMs: number | undefined
}

/** What the worker reports: once where it listens or why it cannot, and, asked to close, that it has. */
export type WorkerMessage =
  | { kind: 'ready', socketPath: string, port: number | undefined }
  | { kind: 'refused', message: string }
  | { kind: 'closed' }
