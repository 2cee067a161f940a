import { Redis } from 'ioredis'
import { type BusLog } from './bus.ts'

export type { Redis }

interface RedisOptions {
  readonly url: string
  readonly log: BusLog
  /** What happens meanwhile, for the log. */
  readonly whileAway: string
}

/** Connects in the background, again and again, and never fails. */
export function connectRedis ({ url, log, whileAway }: RedisOptions): Redis {
  // Nothing is queued or sent again when the connection is lost: it would be stale, and the queue without bounds.
  const redis = new Redis(url, {
    enableOfflineQueue: false, maxRetriesPerRequest: 0, autoResubscribe: false, connectTimeout: 2000, retryStrategy
  })
  let isAway = false
  redis.on('error', (error: Error & { code?: string }) => {
    // The code alone: the rest may quote the command that failed, and that may be the one with the password.
    const code = error.code ?? error.message.split(' ', 1)[0]
    if (!isAway) log.warn({ code }, `Redis is away; ${whileAway} until it is back`)
    isAway = true
  })
  redis.on('ready', () => {
    if (isAway) log.info({}, 'Redis is back')
    isAway = false
  })
  return redis
}

/** Milliseconds until the next attempt to connect. */
function retryStrategy (attempt: number): number {
  return Math.min(attempt * 100, 2000)
}
