import { CommandError } from '../errors.ts'
import { type Document } from '../values/values.ts'
import { type Storage } from '../storage/storage.ts'

/** A transaction of many writes ends after this many milliseconds, so that others get their turn. */
const SLICE_MS = 20

/** One write of a command: inside a transaction, or with transactions of its own. */
export type Step = { inside: () => void } | { alone: () => Promise<void> }

/** A write that was refused, and its place in the command. */
export interface WriteError {
  index: number
  error: CommandError
}

/** Runs a command's writes in order; those that can share transactions. Stops at the first refusal when `ordered`. */
export async function runSteps (storage: Storage, steps: readonly Step[], ordered: boolean): Promise<WriteError[]> {
  const errors: WriteError[] = []
  let at = 0
  const attempt = (run: () => void) => {
    try {
      run()
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      errors.push({ index: at, error })
    }
    at = ordered && errors.length > 0 ? steps.length : at + 1
  }
  while (at < steps.length) {
    const step = steps[at]
    if (step !== undefined && 'alone' in step) {
      const refused = await step.alone().then(() => undefined, (error: unknown) => ({ error }))
      attempt(() => { if (refused !== undefined) throw refused.error })
      continue
    }
    await storage.write(() => {
      const until = performance.now() + SLICE_MS
      for (let next = steps[at]; next !== undefined && 'inside' in next; next = steps[at]) {
        attempt(next.inside)
        if (performance.now() > until) return
      }
    })
  }
  return errors
}

/** The errors as a write command answers them. */
export function writeErrors (errors: readonly WriteError[]): Document {
  if (errors.length === 0) return {}
  return {
    writeErrors: errors.map(({ index, error }) => ({
      index, code: error.code, errmsg: error.message, ...error.details
    }))
  }
}
