import { buildApp } from '../src/app.ts'
import { ensureFirstKey } from '../src/auth/first-key.ts'
import { loadConfig } from '../src/config.ts'

/** The real server, which tries webhooks again after `WEBHOOK_RETRY_MS`, nine times. */
const config = loadConfig(process.env)
const webhookScheduleMs = [0, ...Array.from({ length: 9 }, () => Number(process.env['WEBHOOK_RETRY_MS']))]
const app = await buildApp(config, { logger: { level: 'info' }, webhookScheduleMs })
await ensureFirstKey(config, app.store.apiKeys)
const url = await app.listen({ port: config.PORT, host: config.HOST })
app.log.info({ docs: `${url}/docs` }, 'serving')
