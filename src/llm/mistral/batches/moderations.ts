import { ApiError } from '../../../errors.ts'
import { isRecord } from '../answer/json-record.ts'

/** What a model thinks of a text, by category; which there are is the model's to say. */
export interface Moderation {
  readonly flagged: Readonly<Record<string, boolean>>
  /** From 0 to 1. */
  readonly scores: Readonly<Record<string, number>>
}

export function moderationsBody (model: string, texts: readonly string[]): object {
  return { model, input: texts }
}

/** Reads one verdict for each of `count` texts. Throws `upstream_failed` when that is not what came. */
export function readModerations ({ results }: Record<string, unknown>, count: number): Moderation[] {
  const verdicts = Array.isArray(results) ? results.map(readVerdict) : []
  const isVerdict = (verdict: Moderation | undefined): verdict is Moderation => verdict !== undefined
  if (verdicts.length !== count || !verdicts.every(isVerdict)) {
    throw new ApiError('upstream_failed', { detail: 'The model did not answer with one verdict for each text.' })
  }
  return verdicts
}

function readVerdict (entry: unknown): Moderation | undefined {
  const { categories, category_scores: scores } = isRecord(entry) ? entry : {}
  return isRecordOf(categories, isBoolean) && isRecordOf(scores, isNumber) ? { flagged: categories, scores } : undefined
}

const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean'
const isNumber = (value: unknown): value is number => typeof value === 'number'

function isRecordOf<T> (value: unknown, isMember: (member: unknown) => member is T): value is Record<string, T> {
  return isRecord(value) && Object.values(value).every(isMember)
}
