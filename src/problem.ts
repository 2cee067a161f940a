import { type ApiError } from './errors.ts'

/** RFC 9457 problem details, with the members that this API adds. */
export interface ProblemDocument extends Record<string, unknown> {
  type: string
  title: string
  status: number
  code: string
  detail: string
  instance: string
  requestId: string
  retryable: boolean
}

/** The request that failed, as its problem document names it. */
export interface Occurrence {
  readonly instance: string
  readonly requestId: string
}

export function problemOf (error: ApiError, { instance, requestId }: Occurrence): ProblemDocument {
  const { status, title, retryable } = error.kind
  return {
    type: `urn:parley:problem:${error.code}`,
    title,
    status,
    code: error.code,
    detail: error.message,
    instance,
    requestId,
    retryable,
    ...error.members
  }
}
