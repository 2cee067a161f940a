import { randomUUID } from 'node:crypto'
import { type Socket } from 'node:net'
import { type FastifyInstance } from 'fastify'
import { ApiError } from '../src/errors.ts'
import { problemOf } from '../src/problem.ts'

interface ClientError extends Error {
  readonly code: string
}

interface Refusal {
  readonly status: number
  readonly reason: string
  readonly retryable?: boolean
  readonly detail: string
}

/** What Node's parser refuses, by its code; all else is not HTTP. */
const refusals: Record<string, Refusal> = {
  HPE_HEADER_OVERFLOW: { status: 431, reason: 'Request Header Fields Too Large', detail: 'The header is too large.' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    reason: 'Content Too Large',
    detail: 'The chunk extensions are too large.'
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    reason: 'Request Timeout',
    retryable: true,
    detail: 'The request did not arrive in time.'
  }
}
const notHttp: Refusal = { status: 400, reason: 'Bad Request', detail: 'This is not a valid HTTP request.' }

/** Answers what is not even a request, and so never reaches a route, with a problem document, too. */
export function answerClientError (this: FastifyInstance, error: ClientError, socket: Socket): void {
  if (error.code !== 'ECONNRESET' && socket.writable) {
    const { status, reason, retryable = false, detail } = refusals[error.code] ?? notHttp
    const requestId = randomUUID()
    const problem = problemOf(new ApiError('validation_failed', { detail, members: { status, retryable } }),
      { instance: '', requestId })
    const body = JSON.stringify(problem)
    socket.write([
      `HTTP/1.1 ${status} ${reason}`,
      'content-type: application/problem+json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      `x-request-id: ${requestId}`,
      ...Object.entries(this.fixedHeaders).map(([name, value]) => `${name}: ${value}`),
      'connection: close',
      '',
      body
    ].join('\r\n'))
  }
  socket.destroy(error)
}
