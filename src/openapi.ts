import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from './app.ts'
import { loadConfig } from './config.ts'

// The OpenAPI document, made by the same factory that serves it, on a store that is thrown away: to standard output, or with
// `--write` to the file in the root that is kept with the code. With `--3.0`, as it is for older generators.
const [flag] = process.argv.slice(2)
const dataDir = await mkdtemp(join(tmpdir(), 'parley-openapi-'))
const app = await buildApp(loadConfig({ DATA_DIR: dataDir }))
try {
  await app.ready()
  const written = `${JSON.stringify(flag === '--3.0' ? app.openapi30() : app.swagger(), null, 2)}\n`
  if (flag === '--write') await writeFile(new URL('../openapi.json', import.meta.url), written)
  else process.stdout.write(written)
} finally {
  await app.close()
  await rm(dataDir, { recursive: true })
}
