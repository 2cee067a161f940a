import { Pool } from 'undici'
import { type ChatProvider } from '../provider.ts'
import { CallLimit } from './call-limit.ts'
import { type DeadlineLimits } from './http/deadlines.ts'
import { type WarnLogger, createFailureLog } from './failure-log.ts'
import { startGeneration } from './generation.ts'

export interface MistralOptions extends DeadlineLimits {
  /** Where the API is, such as `https://api.mistral.ai`; a path prefix is kept, `/v1` may end it or be left out. */
  readonly baseUrl: string
  readonly apiKey: string
  /** Asked for when the configuration names no model. */
  readonly defaultModel: string
  /** Calls, and so connections, at once; 1024 more may wait. */
  readonly maxConcurrency: number
  /** Until a connection stands, TLS included; 5000 if not given. */
  readonly connectTimeoutMs?: number
  readonly logger: WarnLogger
}

const CONNECT_TIMEOUT_MS = 5000
const MAX_WAITING = 1024

/** Replies by Mistral's chat completions. Throws `TypeError` for a base URL or a key that cannot be sent. */
export function createMistralProvider (options: MistralOptions): ChatProvider {
  const { baseUrl, apiKey, defaultModel, maxConcurrency, logger } = options
  // The HTTP client would refuse such a header as well, but only at the first call.
  if (!/^[\x21-\x7e]+$/.test(apiKey)) throw new TypeError('The API key holds a character that no header can carry')
  const url = new URL(baseUrl)
  const pool = createPool(url.origin, options)
  const context = {
    upstream: {
      pool,
      path: completionsPath(url),
      headers: requestHeaders(apiKey),
      limits: options,
      logFailure: createFailureLog(logger, apiKey)
    },
    calls: new CallLimit(maxConcurrency + MAX_WAITING),
    defaultModel
  }
  return {
    name: 'mistral',
    generate: (request, generationOptions) => ({
      [Symbol.asyncIterator]: () => startGeneration(context, request, generationOptions)
    }),
    // Not `pool.close()`: that waits for calls which nobody reads any more.
    close: () => pool.destroy()
  }
}

function createPool (origin: string, { maxConcurrency, connectTimeoutMs = CONNECT_TIMEOUT_MS }: MistralOptions): Pool {
  return new Pool(origin, {
    connections: maxConcurrency,
    pipelining: 1,
    allowH2: false,
    connectTimeout: connectTimeoutMs
  })
}

function completionsPath ({ pathname }: URL): string {
  return pathname.replace(/(\/v1)?\/*$/, '') + '/v1/chat/completions'
}

function requestHeaders (apiKey: string): Record<string, string> {
  return {
    authorization: `Bearer ${apiKey}`,
    'content-type': 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'parley'
  }
}
