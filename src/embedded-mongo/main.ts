import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { startEmbeddedStore } from './index.ts'

const CLOSE_DEADLINE_MS = 10_000

function refuse (message: string): never {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}

function portFrom (text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN
  if (!(port <= 65535)) refuse(`STORE_PORT must be a port number from 0 to 65535, not "${text}"`)
  return port
}

const log = pino({ name: 'embedded-store' })
const dataDir = process.env.DATA_DIR ?? '.data'
const port = portFrom(process.env.STORE_PORT)
const onError = (error: Error) => {
  log.fatal({ err: error }, 'the embedded store failed')
  process.exit(1)
}

const store = await startEmbeddedStore({ dataDir, port, onError })
  .catch((error: unknown) => refuse(error instanceof Error ? error.message : String(error)))
log.info({ uri: store.uri, dataDir }, 'the embedded store listens on its socket; it is for one machine')
if (store.port !== undefined) {
  const uri = `mongodb://127.0.0.1:${store.port}/?directConnection=true`
  log.warn({ uri }, 'the embedded store listens on a loopback port, which has no authentication')
}

closeWithGrace({ delay: CLOSE_DEADLINE_MS, logger: false }, async ({ signal, err }) => {
  if (err !== undefined) log.fatal({ err }, 'closing after an error')
  else log.info({ signal }, 'closing')
  await store.close()
})
