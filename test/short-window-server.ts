import { buildApp } from '../src/app.ts'
import { ensureFirstKey } from '../src/auth/first-key.ts'
import { loadConfig } from '../src/config.ts'

/** The real server, whose limits have windows of `WINDOW_MS`. */
const config = loadConfig(process.env)
const app = await buildApp(config, { logger: { level: 'info' }, limitWindowMs: Number(process.env['WINDOW_MS']) })
await ensureFirstKey(config, app.store.apiKeys)
const url = await app.listen({ port: config.PORT, host: config.HOST })
app.log.info({ docs: `${url}/docs` }, 'serving')
