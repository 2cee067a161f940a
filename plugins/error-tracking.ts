import fp from 'fastify-plugin'
import { type Config } from '../src/config.ts'

/** Takes errors that nobody has expected, for people who look into them. */
export interface ErrorTracker {
  /** Never throws, and waits for nothing. */
  report (error: unknown, where: Readonly<Record<string, string | undefined>>): void
  /** Sends what is left. */
  close (): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Undefined: nobody looks into them but by the log. */
    errorTracker: ErrorTracker | undefined
  }
}

/** Error tracking, where there is somebody to report to; else nothing of it is loaded. */
export default fp<{ config: Config, version: string }>(async (fastify, { config, version }) => {
  const { SENTRY_DSN: dsn, NODE_ENV: environment } = config
  const tracker = dsn === undefined ? undefined : (await import('./error-tracking/sentry.ts')).createTracker({ dsn, environment, release: `parley@${version}` })
  fastify.decorate('errorTracker', tracker)
  if (tracker) fastify.addHook('onClose', async () => await tracker.close())
}, { name: 'error-tracking' })
