import { type ErrorCode } from '../../errors.ts'
import { type Usage } from '../provider.ts'

/** What became of one call of the model. Times are milliseconds since it was given leave; absent: not reached. */
export interface AttemptReport {
  /** As it was asked for. */
  readonly model: string
  /** From 1, within its generation. */
  readonly attempt: number
  readonly stream: boolean
  readonly outcome: 'completed' | 'aborted' | ErrorCode
  /** HTTP status of the answer. */
  readonly status: number | undefined
  readonly msToHead: number | undefined
  readonly msToFirstText: number | undefined
  readonly msTotal: number
  /** As the model reported it. */
  readonly usage: Usage | undefined
  /** Parts of the answer that were left out, because their type is not known. */
  readonly unknownChunks: number
}
