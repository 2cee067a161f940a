import { type Contender } from '../contenders.ts'

export interface Suite {
  readonly name: string
  /** What a row is: for the head of the table. */
  readonly unit: string
  /** The first is what all are compared with, round by round. */
  readonly contenders: readonly Contender[]
  readonly loads: readonly { readonly callers: number, readonly delayMs: number }[]
}
