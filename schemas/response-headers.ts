import { Type } from './type.ts'

/** The response headers that clients may rely on, as components of the document. */
export const responseHeaders = {
  'x-request-id': {
    description: 'Names this request in logs and problems. A valid one of the caller\'s own is kept.',
    required: true,
    schema: Type.String({ pattern: '^[A-Za-z0-9._~-]{1,128}$' })
  },
  'ratelimit-limit': {
    description: 'Requests that the credential, or without one the address, has per window. Absent, like its two companions, where the limit is off.',
    schema: Type.Integer({ minimum: 1 })
  },
  'ratelimit-remaining': { description: 'Requests left in this window.', schema: Type.Integer({ minimum: 0 }) },
  'ratelimit-reset': { description: 'Seconds until the next window.', schema: Type.Integer({ minimum: 0 }) },
  'retry-after': { description: 'Seconds to wait before the next attempt, where the server can tell.', schema: Type.Integer({ minimum: 0 }) },
  'www-authenticate': { description: 'How to authenticate.', schema: Type.String() },
  'content-disposition': { description: 'Makes browsers save the document, under this name.', schema: Type.String() },
  location: { description: 'The path of what was created, or where a browser is to go.', schema: Type.String({ format: 'uri-reference' }) },
  'preference-applied': { description: 'The preference that was honoured.', schema: Type.Literal('respond-async') },
  etag: { description: 'The version of the configuration, for `If-Match` and `If-None-Match`.', schema: Type.String() },
  'idempotency-replayed': {
    description: '`true`: an earlier request with the same `Idempotency-Key` had begun this.', schema: Type.Literal('true')
  }
} as const

export type ResponseHeader = keyof typeof responseHeaders

const byStatus: Readonly<Record<string, readonly ResponseHeader[]>> = {
  201: ['location', 'idempotency-replayed'],
  202: ['location', 'preference-applied', 'idempotency-replayed'],
  302: ['location'],
  304: ['etag'],
  401: ['www-authenticate'],
  409: ['retry-after'],
  429: ['retry-after'],
  503: ['retry-after']
}

const byComponent: Readonly<Record<string, readonly ResponseHeader[]>> = {
  ChatbotConfig: ['etag'],
  ConfigExport: ['content-disposition'],
  SessionExport: ['content-disposition'],
  TransferLines: ['content-disposition'],
  Exchange: ['idempotency-replayed']
}

/** Which headers a response has: by its status, by the components in its body, and by whether requests are counted. */
export function headersOf (status: string, components: readonly string[], limited: boolean): ResponseHeader[] {
  return [
    'x-request-id',
    ...(limited ? ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'] as const : []),
    // What tells how the server is fails for its own reasons.
    ...(limited ? byStatus[status] ?? [] : []),
    ...components.flatMap((component) => byComponent[component] ?? [])
  ]
}
