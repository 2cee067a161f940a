import { once } from 'node:events'
import { type BusLog } from '../bus/bus.ts'
import { connectRedis, type Redis } from '../bus/redis-connection.ts'
import { type Count, type Counters } from './counters.ts'

// One step for Redis. A key without an expiry, as somebody may have restored it, gets one.
const script = `
  local count = redis.call('INCRBY', KEYS[1], ARGV[2])
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 then
    left = tonumber(ARGV[1])
    redis.call('PEXPIRE', KEYS[1], left)
  end
  return { count, left }
`

interface Counting {
  countInWindow (key: string, windowMs: number, times: number): Promise<[count: number, resetMs: number]>
}

/** Counts in Redis, by its clock, for all processes that use it under one name. */
export class RedisCounters implements Counters {
  readonly #prefix: string
  readonly #redis: Redis & Counting

  /** Connects in the background, again and again, and never fails. */
  constructor (url: string, name: string, log: BusLog) {
    this.#prefix = `parley:${name}:count:`
    this.#redis = connectRedis({ url, log, whileAway: 'limits are counted by each process, and logins refused' }) as Redis & Counting
    // Sent as a whole only where Redis does not know it by its hash.
    this.#redis.defineCommand('countInWindow', { numberOfKeys: 1, lua: script })
  }

  /** Resolves when the first attempt to connect is over. */
  async opened (): Promise<void> {
    await once(this.#redis, 'ready').catch(() => {})
  }

  async count (key: string, windowMs: number, times = 1): Promise<Count> {
    const [count, resetMs] = await this.#redis.countInWindow(this.#prefix + key, windowMs, times)
    // Of the last millisecond, nothing is left when rounded.
    return { count, resetMs: Math.max(1, resetMs) }
  }

  close (): void {
    this.#redis.disconnect()
  }
}
