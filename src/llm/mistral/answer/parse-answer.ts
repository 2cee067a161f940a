import { ApiError } from '../../../errors.ts'
import { type Usage } from '../../provider.ts'
import { readContent } from './content.ts'
import { failureNamedIn } from './error-mapping.ts'
import { isRecord, parseRecord } from './json-record.ts'
import { readUsage } from './reported-usage.ts'

/** What a chunk of a stream, or a whole answer, tells. */
export interface AnswerPart {
  readonly text: string
  /** Parts of the content whose type nobody has heard of. */
  readonly unknownChunks: number
  readonly finishReason: string | undefined
  readonly model: string | undefined
  readonly usage: Usage | undefined
}

/**
 * Reads a chunk or a whole answer: they differ only in `delta` and `message`. Throws `upstream_failed` when it is not
 * JSON, or ends with the reason `error`, and what an error in the place of the choices stands for: some servers send
 * those with status 200.
 */
export function parseAnswer (json: string): AnswerPart {
  const answer = parseRecord(json)
  if (answer.error != null || !Array.isArray(answer.choices)) {
    throw failureNamedIn(answer) ??
      new ApiError('upstream_failed', { detail: 'The model sent something other than a completion.' })
  }
  const choice: unknown = answer.choices[0]
  const { delta, message, finish_reason: finish } = isRecord(choice) ? choice : {}
  if (finish === 'error') throw new ApiError('upstream_failed', { detail: 'The model broke off with an error.' })
  const content = delta ?? message
  return {
    ...readContent(isRecord(content) ? content.content : null),
    finishReason: nonEmptyString(finish),
    model: nonEmptyString(answer.model),
    usage: readUsage(answer.usage)
  }
}

function nonEmptyString (value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
