import { setImmediate } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import { type FastifyServerOptions } from 'fastify'
import { openTracker } from '../plugins/error-tracking.ts'
import { buildApp } from './app.ts'
import { ensureFirstKey, firstKeyFile } from './auth/first-key.ts'
import { type Config, ConfigError, loadConfig } from './config.ts'
import { greeting } from './greeting.ts'
import { loggerOptions, logStream } from './logging.ts'
import { startFailure } from './start-failure.ts'
import { version } from './version.ts'

// The deadline of the whole shutdown: running turns and idle connections have their own, which come first.
const SHUTDOWN_MS = 20_000

function loggerFor ({ LOG_LEVEL }: Config): FastifyServerOptions['logger'] {
  return {
    ...loggerOptions(LOG_LEVEL),
    ...(process.stdout.isTTY ? { transport: { target: 'pino-pretty' } } : { stream: logStream() })
  }
}

async function serve (config: Config): Promise<void> {
  const app = await buildApp(config, { logger: loggerFor(config) })
  // An exit waits for the store's worker, and that may be what does not end. What was acknowledged is on the disk.
  const giveUp = (reason: string) => {
    app.log.fatal(`killed: ${reason}`)
    process.kill(process.pid, 'SIGKILL')
  }
  closeWithGrace({
    delay: SHUTDOWN_MS,
    logger: app.log,
    onTimeout: () => giveUp(`not closed after ${SHUTDOWN_MS} ms`),
    onSecondSignal: (signal) => giveUp(`a second ${signal}`)
  }, async ({ err, signal }) => {
    if (err) {
      app.log.fatal({ err }, 'closing after an error')
      app.errorTracker?.report(err, { work: 'closing after an error' })
    }
    // Somebody who presses Ctrl-C wants it to end now.
    await (signal === 'SIGTERM' ? app.retire() : app.close())
  })
  const key = await ensureFirstKey(config, app.store.apiKeys)
  const url = await app.listen({ port: config.PORT, host: config.HOST })

  app.log.info({ store: app.storeName, model: app.model.name, docs: `${url}/docs` }, 'serving')
  if (config.NODE_ENV === 'production') return
  // The log comes first.
  await setImmediate()
  if (key !== undefined) process.stdout.write(`\nAn admin key was made: ${key}\nIt is kept in ${firstKeyFile(config)}.\n`)
  process.stdout.write(`\nA conversation:\n\n${greeting(config, url)}\n\n`)
}

/** Also before there is an app, or without one. */
async function reportStart (config: Config, error: unknown): Promise<void> {
  if (error instanceof ConfigError) return
  const tracker = await openTracker({ config, version })
  tracker?.report(error, { work: 'start' })
  await tracker?.close()
}

// That nobody reads what is printed is no reason to go down.
process.stdout.on('error', () => {})
try {
  const config = loadConfig(process.env)
  await serve(config).catch(async (error: unknown) => {
    await reportStart(config, error)
    throw error
  })
} catch (error) {
  process.stderr.write(`${startFailure(error)}\n`)
  process.exit(1)
}
