import { type FastifyError } from 'fastify'
import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'
import { type Log as CoreLog } from '../src/chat/turn-runner.ts'
import { ReportBudget } from './error-tracking/report-budget.ts'
import { toApiError } from './errors.ts'

export type Where = Readonly<Record<string, string | undefined>>

/** Takes errors that nobody has expected, for people who look into them. */
export interface ErrorTracker {
  /** Never throws, and waits for nothing. What is expected, and what there were too many of lately, is left out. */
  report (error: unknown, where: Where): void
  /** Sends what is left. */
  close (): Promise<void>
}

interface Log extends CoreLog {
  info (details: object, message: string): void
}

interface Tracking {
  readonly config: Config
  readonly version: string
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined: nobody looks into them but by the log. */
    errorTracker: ErrorTracker | undefined
    /** A log for work that no answer waits for: the `err` of what is written there is reported, too, with what was written of it. */
    trackedLog: (log?: Log) => Log
  }
}

/** As an answer would tell it. Of what is no error, nobody has expected anything. */
const isExpected = (error: unknown) => error instanceof Error && toApiError(error as FastifyError).code !== 'internal'

/** The tracker, where there is somebody to report to; else nothing of it is loaded. */
export async function openTracker ({ config, version }: Tracking): Promise<ErrorTracker | undefined> {
  const { SENTRY_DSN: dsn, NODE_ENV: environment } = config
  if (dsn === undefined) return undefined
  const { createTracker } = await import('./error-tracking/sentry.ts')
  const tracker = createTracker({ dsn, environment, release: `parley@${version}` })
  const budget = new ReportBudget()
  return {
    report (error, where) {
      if (!isExpected(error) && budget.allows(error)) tracker.report(error, where)
    },
    close: async () => await tracker.close()
  }
}

/** Error tracking: of requests by the error handler, of what goes on behind them by the log that it writes to. */
export default fp<Tracking>(async (fastify, options) => {
  const tracker = await openTracker(options)
  fastify.decorate('errorTracker', tracker)
  fastify.decorate('trackedLog', (log: Log = fastify.log) => {
    if (!tracker) return log
    const writing = (level: 'warn' | 'error') => (details: object, message: string) => {
      log[level](details, message)
      if ('err' in details) tracker.report(details.err, { work: message })
    }
    return { info: (details, message) => { log.info(details, message) }, warn: writing('warn'), error: writing('error') }
  })
  if (tracker) fastify.addHook('onClose', async () => await tracker.close())
}, { name: 'error-tracking' })
