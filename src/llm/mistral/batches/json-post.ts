import { ApiError } from '../../../errors.ts'
import { type Admission } from '../admission/admission.ts'
import { JsonCall, type JsonUpstream } from '../http/json-call.ts'
import { type RetryTerms, withRetries } from '../retry.ts'

/** What all calls of a client share. */
export interface JsonContext {
  readonly upstream: JsonUpstream & { readonly headers: Readonly<Record<string, string>> }
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
    const headers = { ...upstream.headers, accept: 'application/json' }
    const request = { path, headers, body: JSON.stringify(body) }
    const deadline = performance.now() + timeoutMs
    const entry = { tenantId, model: admission.modelState(model), signal: life.signal, deadline }
    return await withRetries(admission, retry, entry, async (permit) =>
      await new JsonCall(upstream, { request, permit, signal: life.signal, read }).run())
  } finally {
    clearTimeout(total)
    signal.removeEventListener('abort', stop)
  }
}

function tooLate (): ApiError {
  return new ApiError('upstream_timeout', { detail: 'The model did not finish in time.' })
}
