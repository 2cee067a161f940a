import { type Usage } from './provider.ts'

/** A call of a model that is about to go out. */
export interface TracedCall {
  readonly model: string
  readonly temperature: number | undefined
  readonly topP: number | undefined
  readonly maxTokens: number | undefined
}

/** What became of it. */
export interface TracedOutcome {
  readonly model: string
  /** `completed`, `aborted`, or the code of the error. */
  readonly outcome: string
  readonly status: number | undefined
  readonly finishReason: string | undefined
  readonly usage: Usage
}

/** Follows a call: `headers` go out with it. */
export interface CallTrace {
  readonly headers: Readonly<Record<string, string>>
  end (outcome: TracedOutcome): void
}

/** Begins to follow a call. */
export type TraceCall = (call: TracedCall) => CallTrace
