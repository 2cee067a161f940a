const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** How long to wait before each attempt; the first one is made at once. That of Standard Webhooks: some three days. */
export const SCHEDULE_MS: readonly number[] = [
  0, 5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR
]

/** After this long with nothing but failures, an endpoint is disabled. */
export const FAILING_MS = 5 * DAY

const JITTER = 0.1
const LONGEST_MS = 24 * HOUR

/** How long an answer asks to wait, if it does: seconds or a date. */
function askedMs (retryAfter: string | undefined): number {
  if (retryAfter === undefined) return 0
  const ms = /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) * SECOND : Date.parse(retryAfter) - Date.now()
  return ms > 0 ? Math.min(ms, LONGEST_MS) : 0
}

/** How long to wait after so many attempts. Undefined: there were enough. */
export function delayAfter (attempts: number, retryAfter: string | undefined, scheduleMs: readonly number[]): number | undefined {
  const planned = scheduleMs[attempts]
  if (planned === undefined) return undefined
  // Those that failed together do not come back together.
  const spread = planned * (1 + JITTER * (2 * Math.random() - 1))
  return Math.round(Math.max(spread, askedMs(retryAfter)))
}
