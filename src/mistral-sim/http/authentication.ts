import { type IncomingHttpHeaders } from 'node:http'
import { ApiFailure } from '../errors/api-failure.ts'
import { type Settings } from '../options.ts'

/** The bearer token of a request that may pass. Throws the 401 of the gateway, or that of an exhausted plan. */
export function authenticate (headers: IncomingHttpHeaders, settings: Settings, requestId: string): string {
  const [, key] = /^Bearer (\S+)$/.exec(headers.authorization ?? '') ?? []
  if (key !== undefined && settings.quotaKeys.includes(key)) throw new ApiFailure(401, { detail: 'Unauthorized' })
  if (key === undefined || (settings.keys !== null && !settings.keys.includes(key))) {
    throw new ApiFailure(401, { message: 'Unauthorized', request_id: requestId })
  }
  return key
}
