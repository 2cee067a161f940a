import { ApiError, type ErrorCode } from '../errors.ts'

/** What clients of OpenAI know our codes by; all others they are told as they are. */
const codes: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'invalid_api_key',
  quota_exceeded: 'insufficient_quota',
  rate_limited: 'rate_limit_exceeded'
}

export interface OpenAiError {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string | null
  }
}

export interface OpenAiFailure {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: OpenAiError
}

/** Something that OpenAI's API has and this one has not, or a value that does not fit. `code`: as OpenAI names it. */
export function refusal (param: string, detail: string, code = 'validation_failed'): ApiError {
  return new ApiError('validation_failed', { detail, members: { openai: { param, code } } })
}

/** There is no such thing, in the words of OpenAI. */
export function unknown (param: string, detail: string, code: string): ApiError {
  return new ApiError('not_found', { detail, members: { openai: { param, code } } })
}

function typeOf ({ code, kind: { status } }: ApiError): string {
  if (code === 'quota_exceeded') return 'insufficient_quota'
  if (status === 429) return 'requests'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}

/** `/messages/0/content` as OpenAI writes it: `messages[0].content`. */
function paramOf ({ members }: ApiError): string | null {
  const [first] = (members['errors'] ?? []) as Array<{ path: string }>
  if (!first || first.path === '') return null
  return first.path.slice(1).split('/').map((name, i) => /^\d+$/.test(name) ? `[${name}]` : i === 0 ? name : `.${name}`).join('')
}

/** An error as clients of OpenAI read it. Their libraries repeat what may succeed later, and are told what may not. */
export function toOpenAi (error: ApiError): OpenAiFailure {
  const { openai = {} } = error.members as { openai?: { param?: string, code?: string } }
  const { param = paramOf(error), code = codes[error.code] ?? error.code } = openai
  return {
    status: error.code === 'quota_exceeded' ? 429 : error.kind.status,
    headers: { ...error.headers, 'x-should-retry': String(error.kind.retryable) },
    body: { error: { message: error.message, type: typeOf(error), param, code } }
  }
}
