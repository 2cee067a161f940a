import { setTimeout as sleep } from 'node:timers/promises'

/** Where the simulator's time comes from; a test brings its own so that nothing has to be waited for. */
export interface Clock {
  /** Milliseconds since 1970, monotone. */
  now (): number
  /** Resolves after `ms`, or at once when the signal aborts; never rejects. */
  wait (ms: number, signal: AbortSignal): Promise<void>
}

/** The machine's time. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  wait: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined)
}
