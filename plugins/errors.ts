import { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ApiError, type ErrorCode } from '../src/errors.ts'
import { toOpenAi } from '../src/openai/errors.ts'
import { type Occurrence, problemOf } from '../src/problem.ts'
import { isStoreAway } from '../src/store/store.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** This request, as its problem document names it. */
    occurrence: () => Occurrence
  }
}

/** Fastify's own errors that have a code of ours; all others of theirs are told by their status. */
const frameworkErrors: Record<string, ErrorCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_json',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found'
}

type ValidationResult = NonNullable<FastifyError['validation']>[number]

const parts: Record<string, string> = { body: 'body', querystring: 'query', headers: 'header', params: 'path' }

// What the validator says of these is true and hard to read.
const plainWords: Record<string, string> = {
  additionalProperties: 'is not a member of this',
  pattern: 'has characters that are not allowed here, or is blank'
}

function invalidMember ({ keyword, instancePath, params, message }: ValidationResult): { path: string, message: string } {
  const member = params['additionalProperty'] ?? params['missingProperty']
  return {
    path: typeof member === 'string' ? `${instancePath}/${member.replaceAll('~', '~0').replaceAll('/', '~1')}` : instancePath,
    message: plainWords[keyword] ?? String(message)
  }
}

/** Whatever was thrown, as an error of the catalogue. */
export function toApiError (error: FastifyError): ApiError {
  if (error instanceof ApiError) return error
  if (error.validation) {
    // An identifier that cannot be one names nothing; a number that is none is a mistake.
    if (error.validationContext === 'params' && error.validation[0]?.keyword === 'pattern') return new ApiError('not_found', { detail: 'There is no such resource.' })
    const errors = error.validation.map(invalidMember)
    const wrong = errors.map(({ path, message }) => `${path} ${message}`.trim())
    return new ApiError('validation_failed', {
      detail: `The ${parts[String(error.validationContext)]} does not fit: ${wrong.join('; ')}.`,
      members: { errors }
    })
  }
  if (isStoreAway(error)) return new ApiError('store_unavailable', { cause: error, headers: { 'retry-after': '1' } })
  const code = frameworkErrors[error.code]
  if (code !== undefined) return new ApiError(code)
  if (error.statusCode !== undefined && error.statusCode < 500) return new ApiError('validation_failed', { cause: error })
  return new ApiError('internal', { cause: error })
}

/** The query stays out of it: it may hold secrets. */
function occurrenceOf ({ url, id }: FastifyRequest): Occurrence {
  return { instance: url.replace(/\?.*/s, ''), requestId: id }
}

/** Whether a path is for clients of OpenAI, known or not: they read no problem documents. */
const isForOpenAi = (url: string) => url.startsWith('/v1/')

/** Answers with the problem document of an error, or, to clients of OpenAI, in the words of theirs. */
export function sendError (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const apiError = toApiError(error)
  if (apiError.kind.status >= 500) request.log.error({ err: apiError.cause ?? apiError, code: apiError.code }, 'request failed')
  if (apiError.code === 'internal') {
    const { routeOptions, id, traceId } = request
    request.server.errorTracker?.report(apiError.cause ?? apiError, { route: routeOptions.url, requestId: id, traceId: traceId ?? undefined })
  }
  return answerError(apiError, request, reply)
}

/** The same, without a word to the log. */
export function answerError (apiError: ApiError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // Said again for failures that come before any hook, such as a path that does not decode.
  reply.headers({ ...request.server.fixedHeaders, 'x-request-id': request.id })
  // The framework closes after a body that it could not read. Where that has come whole, nothing is left to be taken for a request,
  // and one that is there already is being answered.
  if (request.raw.complete) reply.removeHeader('connection')
  if (isForOpenAi(request.url)) {
    const { status, headers, body } = toOpenAi(apiError)
    return reply.code(status).headers(headers).type('application/json').send(body)
  }
  return reply
    .code(apiError.kind.status)
    .headers(apiError.headers)
    .type('application/problem+json')
    .send(problemOf(apiError, occurrenceOf(request)))
}

/** Every failure is told as a problem document, those of the framework included. */
export default fp(async (fastify) => {
  fastify.decorateRequest('occurrence', function (this: FastifyRequest) {
    return occurrenceOf(this)
  })
  fastify.setErrorHandler<FastifyError>(sendError)
}, { name: 'errors', dependencies: ['request-id', 'error-tracking'] })
