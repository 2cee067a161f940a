import { lines } from './0001-lines.ts'
import { apiKeyIds } from './0002-api-key-ids.ts'
import { type Step } from './step.ts'

/** All there are, in order. */
export const steps: readonly Step[] = [lines, apiKeyIds]

/** Those of some steps that this version does not know: they were made by a newer one. */
export function unknownSteps (ids: readonly string[]): string[] {
  return ids.filter((id) => !steps.some((step) => step.id === id))
}
