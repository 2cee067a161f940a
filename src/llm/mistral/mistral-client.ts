import { EventEmitter } from 'node:events'
import { Pool } from 'undici'
import { windowOf } from '../models.ts'
import { type TraceCall } from '../call-trace.ts'
import { type ChatProvider } from '../provider.ts'
import { Admission, type ModelLoad } from './admission/admission.ts'
import { BREAKER_LIMITS, type BreakerLimits } from './admission/breaker.ts'
import { type AttemptReport } from './attempt-report.ts'
import { type TextBatches, createTextBatches } from './batches/text-batches.ts'
import { type FailureFacts, type WarnLogger, logFailure } from './failure-log.ts'
import { startGeneration } from './generation.ts'
import { type DeadlineLimits } from './http/deadlines.ts'
import { type Dialect } from './request/dialect.ts'
import { RETRY_TERMS, type RetryTerms } from './retry.ts'

export interface MistralOptions extends DeadlineLimits {
  /** Where the API is, such as `https://api.mistral.ai`; a path prefix is kept, `/v1` may end it or be left out. */
  readonly baseUrl: string
  readonly apiKey: string
  /** Asked for when the configuration names no model. */
  readonly defaultModel: string
  /** `mistral` if not given. */
  readonly dialect?: Dialect
  /** Calls, and so connections, at once; 1024 more may wait. */
  readonly maxConcurrency: number
  /** Milliseconds for all of a generation: waiting, attempts and what is between them. */
  readonly timeoutMs: number
  /** Until a connection stands, TLS included; 5000 if not given. */
  readonly connectTimeoutMs?: number
  readonly retry?: Partial<RetryTerms>
  readonly breaker?: Partial<BreakerLimits>
  readonly logger: WarnLogger
  /** Follows each call of a chat completion. */
  readonly traceCall?: TraceCall | undefined
  /** Is told how long each call has waited for its leave. */
  readonly onAdmitted?: (waitedMs: number) => void
}

export interface MistralProvider extends ChatProvider, TextBatches {
  /** Tells of every call of the model when it is over. */
  readonly attempts: EventEmitter<{ attempt: [AttemptReport] }>
  /** How much there is to do now. */
  load (): ModelLoad
}

const CONNECT_TIMEOUT_MS = 5000

/** Replies by Mistral's chat completions. Throws `TypeError` for a base URL or a key that cannot be sent. */
export function createMistralProvider (options: MistralOptions): MistralProvider {
  const { baseUrl, apiKey, dialect = 'mistral', defaultModel, maxConcurrency, timeoutMs, logger } = options
  // The HTTP client would refuse such a header as well, but only at the first call.
  if (!/^[\x21-\x7e]+$/.test(apiKey)) throw new TypeError('The API key holds a character that no header can carry')
  const url = new URL(baseUrl)
  const pool = createPool(url.origin, options)
  const retry = { ...RETRY_TERMS, ...options.retry }
  const context = {
    upstream: {
      pool,
      headers: requestHeaders(apiKey),
      limits: options,
      logFailure: (facts: FailureFacts) => logFailure(logger, facts)
    },
    path: apiPath(url, 'chat/completions'),
    admission: new Admission(maxConcurrency, { breaker: { ...BREAKER_LIMITS, ...options.breaker }, gate: retry }, options.onAdmitted),
    retry,
    traceCall: options.traceCall,
    attempts: new EventEmitter<{ attempt: [AttemptReport] }>(),
    timeoutMs,
    dialect,
    defaultModel
  }
  return {
    name: 'mistral',
    isModel: true,
    windowOf: (model = defaultModel) => context.admission.modelState(model).windowTokens ?? windowOf(model),
    attempts: context.attempts,
    load: () => context.admission.load,
    generate: (request, generationOptions) => ({
      [Symbol.asyncIterator]: () => startGeneration(context, request, generationOptions)
    }),
    ...createTextBatches(context, {
      embeddings: apiPath(url, 'embeddings'), moderations: apiPath(url, 'moderations')
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

function apiPath ({ pathname }: URL, route: string): string {
  return `${pathname.replace(/(\/v1)?\/*$/, '')}/v1/${route}`
}

function requestHeaders (apiKey: string): Record<string, string> {
  return {
    authorization: `Bearer ${apiKey}`,
    'content-type': 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'parley'
  }
}
