import { type IncomingHttpHeaders } from 'node:http'
import { ApiFailure, refusal, usualText } from '../errors/api-failure.ts'
import { type Settings } from '../options.ts'

/** The bearer token of a request that may pass. Throws the 401 of the gateway, or that of an exhausted plan. */
export function authenticate (headers: IncomingHttpHeaders, settings: Settings, id: string): string {
  const [, key] = /^Bearer (\S+)$/.exec(headers.authorization ?? '') ?? []
  if (key !== undefined && settings.quotaKeys.includes(key)) throw new ApiFailure(401, { detail: 'Unauthorized' })
  if (key === undefined || (settings.keys !== null && !settings.keys.includes(key))) {
    throw new ApiFailure(401, { message: 'Unauthorized', request_id: id })
  }
  return key
}

const WINDOW_MS = 1000

/** Counts the requests of each key in the running second. */
export class Limiter {
  readonly #settings: Settings
  #windowStart = -Infinity
  #counts = new Map<string, number>()

  constructor (settings: Settings) {
    this.#settings = settings
  }

  /** Takes one request of the key's budget, or throws the 429. */
  admit (key: string): void {
    const now = this.#settings.clock.now()
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now
      this.#counts = new Map()
    }
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    if (count > this.#settings.requestsPerSecond) {
      const { message, type, code } = usualText(429)
      throw refusal(429, message, type, code)
    }
  }
}
