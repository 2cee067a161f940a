import rateLimit, { type FastifyRateLimitOptions, type FastifyRateLimitStore, type RateLimitOptions } from '@fastify/rate-limit'
import { type FastifyRequest, type onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { maxOf, type LimitName } from '../src/limits/limit-table.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Requests to this public route are not counted: counting them would cost more than they do. */
    unlimited?: true
  }
  interface FastifyInstance {
    /** Counts a request against its credential's limit, or, without a valid one, against that of its address. */
    limitRate: onRequestAsyncHookHandler
  }
}

/** A limiter of the library's, which hands its options on to the store. */
interface Limiter extends RateLimitOptions {
  readonly limit: LimitName
}

/** A fixed window of 60 s per credential, from its first request; requests without a valid one count per address. */
export default fp<{ config: Config }>(async (fastify, { config }) => {
  const { limits } = fastify
  const perToken = ({ caller }: FastifyRequest) => caller?.requestsPerMinute ?? config.RATE_LIMIT_PER_MINUTE
  const perAddress = maxOf('ip', config)

  /** Where the library counts: with all the other limits. */
  class Store implements FastifyRateLimitStore {
    readonly #limit: LimitName

    constructor (options: FastifyRateLimitOptions) {
      this.#limit = (options as Limiter).limit
    }

    incr (key: string, done: Parameters<FastifyRateLimitStore['incr']>[1], _timeWindow: number, max: number): void {
      limits.count(this.#limit, key, max).then(({ count, resetMs }) => done(null, { current: count, ttl: resetMs }), done)
    }

    child (options: FastifyRateLimitOptions): Store {
      return new Store(options)
    }
  }

  await fastify.register(rateLimit, { global: false, enableDraftSpec: true, store: Store })
  const limiter = (limit: LimitName, options: Pick<RateLimitOptions, 'max' | 'keyGenerator'>): onRequestAsyncHookHandler => {
    const named: Limiter = { ...options, limit, errorResponseBuilder: (_request, { max, ttl }) => limits.refusal(limit, max, ttl) }
    return fastify.rateLimit(named)
  }
  const byToken = limiter('token', { max: perToken, keyGenerator: ({ caller }) => caller!.credential })
  const byAddress = limiter('ip', { max: perAddress, keyGenerator: ({ ip }) => ip })

  fastify.decorate<onRequestAsyncHookHandler>('limitRate', async function (request, reply) {
    const isOff = (request.caller ? perToken(request) : perAddress) === 0
    if (!isOff) await (request.caller ? byToken : byAddress).call(this, request, reply)
  })
}, { name: 'rate-limit', dependencies: ['limits'] })
