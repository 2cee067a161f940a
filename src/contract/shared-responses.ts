import { type Document, type Response, nameOf } from './document.ts'

const names: Readonly<Record<string, string>> = {
  400: 'BadRequest',
  401: 'Unauthenticated',
  402: 'QuotaExceeded',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  412: 'VersionMismatch',
  413: 'PayloadTooLarge',
  415: 'UnsupportedMediaType',
  422: 'IdempotencyConflict',
  429: 'RateLimited',
  500: 'Internal',
  502: 'UpstreamFailed',
  503: 'Unavailable',
  504: 'UpstreamTimeout'
}

const isProblem = ({ content = {} }: Response) => Object.values(content).some(({ schema }) => nameOf(schema) === 'Problem')

/**
 * Makes components of the problems that most operations answer with: the document is a third of what it would be with all of them
 * written out. What an operation says in its own words stays where it is.
 */
export function shareResponses (document: Document): void {
  const shared: Record<string, Response> = {}
  for (const path of Object.values(document.paths)) {
    for (const { responses } of Object.values(path)) {
      for (const [status, response] of Object.entries(responses)) {
        const name = names[status]
        if (name === undefined || !isProblem(response) || !('ratelimit-limit' in (response.headers ?? {}))) continue
        shared[name] ??= response
        if (JSON.stringify(shared[name]) === JSON.stringify(response)) responses[status] = { $ref: `#/components/responses/${name}` } as Response
      }
    }
  }
  document.components['responses'] = Object.fromEntries(Object.entries(shared).sort(([a], [b]) => a < b ? -1 : 1))
}
