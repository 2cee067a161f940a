import { ApiError } from '../../../errors.ts'
import { type Admission } from '../admission/admission.ts'
import { type ReadAnswer } from '../answer/answer-reader.ts'
import { failureNamedIn } from '../answer/error-mapping.ts'
import { parseRecord } from '../answer/json-record.ts'
import { WholeReader } from '../answer/whole-reader.ts'
import { Attempt, type Upstream } from '../attempt.ts'
import { type RetryTerms, withRetries } from '../retry.ts'

// 512 vectors of 4096 numbers, written out by a server that does not pack them.
const MAX_ANSWER_BYTES = 32 * 1024 * 1024

/** What all calls of a client share. */
export interface JsonContext {
  readonly upstream: Upstream
  readonly admission: Admission
  readonly retry: RetryTerms
  /** Milliseconds for all of a call: waiting, attempts and what is between them. */
  readonly timeoutMs: number
}

export interface JsonPost<T> {
  readonly path: string
  readonly body: object
  /** Whose call it is: where many wait, tenants are served in turn. */
  readonly tenantId: string
  readonly model: string
  readonly signal: AbortSignal
  /** What the answer says. Throws `upstream_failed` for an answer that is not what it should be. */
  readonly read: (answer: Record<string, unknown>) => T
}

/**
 * Posts and reads the answer, waiting for leave and trying again as a chat call does. Throws one of the `upstream_*`
 * codes, `overloaded`, or the signal's reason.
 */
export async function postJson<T> (context: JsonContext, post: JsonPost<T>): Promise<T> {
  const { upstream, admission, retry, timeoutMs } = context
  const { path, body, tenantId, model, signal, read } = post
  const life = new AbortController()
  const stop = (): void => life.abort(signal.reason)
  const total = setTimeout(() => life.abort(tooLate()), timeoutMs)
  signal.addEventListener('abort', stop)
  try {
    signal.throwIfAborted()
    const question = { path, accept: 'application/json', body: JSON.stringify(body), read: readJson(read) }
    const deadline = performance.now() + timeoutMs
    const entry = { tenantId, model: admission.modelState(model), signal: life.signal, deadline }
    return await withRetries<T>(admission, retry, entry, async (permit) => {
      const outcome = await new Attempt(upstream, { ...question, permit, signal: life.signal }).run()
      if (outcome.type === 'aborted') throw life.signal.reason
      return outcome.type === 'completed' ? { value: outcome.value } : { failure: outcome.failure }
    })
  } finally {
    clearTimeout(total)
    signal.removeEventListener('abort', stop)
  }
}

/** Reads an answer in one JSON object. */
function readJson<T> (read: JsonPost<T>['read']): ReadAnswer<T> {
  return (_, listener) => new WholeReader({
    maxBytes: MAX_ANSWER_BYTES,
    listener,
    read: (body) => {
      const answer = parseRecord(body)
      if (answer.error != null) {
        throw failureNamedIn(answer) ??
          new ApiError('upstream_failed', { detail: 'The model sent something other than an answer.' })
      }
      listener.complete(read(answer))
    }
  })
}

function tooLate (): ApiError {
  return new ApiError('upstream_timeout', { detail: 'The model did not finish in time.' })
}
