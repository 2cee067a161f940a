import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from './app.ts'
import { loadConfig } from './config.ts'

// Writes the OpenAPI document to standard output, made by the same factory that serves it, on a store that is thrown away.
const dataDir = await mkdtemp(join(tmpdir(), 'parley-openapi-'))
const app = await buildApp(loadConfig({ DATA_DIR: dataDir }))
try {
  await app.ready()
  process.stdout.write(`${JSON.stringify(app.swagger(), null, 2)}\n`)
} finally {
  await app.close()
  await rm(dataDir, { recursive: true })
}
