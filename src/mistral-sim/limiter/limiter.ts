import { type Clock } from '../clock.ts'
import { ApiFailure } from '../errors/api-failure.ts'
import { errorBody } from '../errors/bodies.ts'
import { retryAfterValue } from '../http/retry-after.ts'
import { hex } from '../digest.ts'
import { limitHeaders } from './headers.ts'
import { type Limits } from './limits.ts'
import { Window } from './window.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
// Names of models come from clients.
const MAX_BUDGETS = 1000

/** A request that asks to pass. */
export interface Query {
  key: string
  model: string
  /** Tokens of the prompt, and those that the reply may have. */
  cost: number
  requestId: string
}

/** A request that may pass. */
export interface Admission {
  /** For the reply. */
  headers: Record<string, string>
  /** Replaces what was reserved by what was used. */
  settle (tokens: number): void
}

interface Windows {
  requests: Window[]
  perMinute?: Window
  tokens?: Window
}

/** Counts the requests and tokens of each key and model. */
export class Limiter {
  readonly #limits: Limits
  readonly #clock: Clock
  readonly #budgets = new Map<string, Windows>()

  constructor (limits: Limits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  /** Takes the request from its budgets, or throws the 429. A request that is refused counts as one all the same. */
  admit (query: Query): Admission {
    const now = this.#clock.now()
    const windows = this.#windowsOf(query)
    for (const window of windows.requests) window.take(1, now)
    const { tokens } = windows
    const full = [...windows.requests].find((window) => window.left(now) < 0) ??
      (tokens !== undefined && tokens.left(now) < query.cost ? tokens : undefined)
    if (full !== undefined) throw this.#refusal(full, query, windows, now)
    const index = tokens?.take(query.cost, now) ?? 0
    return {
      headers: this.#headers(windows, query, now),
      settle: (used) => tokens?.giveBack(query.cost - used, index, this.#clock.now())
    }
  }

  /** Gives everybody all budgets back. */
  reset (): void {
    this.#budgets.clear()
  }

  #windowsOf ({ key, model }: Query): Windows {
    const name = `${hex(key, 16)} ${model}`
    const windows = this.#budgets.get(name) ?? makeWindows(this.#limits)
    this.#budgets.delete(name)
    this.#budgets.set(name, windows)
    for (const oldest of this.#budgets.keys()) {
      if (this.#budgets.size <= MAX_BUDGETS) break
      this.#budgets.delete(oldest)
    }
    return windows
  }

  #refusal (full: Window, query: Query, windows: Windows, now: number): ApiFailure {
    const { retryAfter = 'none', bodyShape = 'mistral' } = this.#limits
    const seconds = Math.ceil(full.msLeft(now) / SECOND)
    return new ApiFailure(429, errorBody(bodyShape, 429, query.requestId), {
      ...this.#headers(windows, query, now),
      ...(retryAfter !== 'none' && { 'retry-after': retryAfterValue(seconds, retryAfter, now) })
    })
  }

  #headers ({ perMinute, tokens }: Windows, { cost }: Query, now: number): Record<string, string> {
    return limitHeaders({
      ...(perMinute && { requests: { limit: perMinute.limit, left: perMinute.left(now) } }),
      ...(tokens && { tokens: { limit: tokens.limit, left: tokens.left(now), cost, msLeft: tokens.msLeft(now) } })
    }, this.#limits.headers)
  }
}

function makeWindows ({ requestsPerSecond, requestsPerMinute, tokensPerMinute }: Limits): Windows {
  const window = (limit: number | undefined, ms: number): Window | undefined =>
    limit === undefined ? undefined : new Window(limit, ms)
  const perMinute = window(requestsPerMinute, MINUTE)
  const tokens = window(tokensPerMinute, MINUTE)
  const requests = [window(requestsPerSecond, SECOND), perMinute].filter((one) => one !== undefined)
  return { requests, ...(perMinute && { perMinute }), ...(tokens && { tokens }) }
}
