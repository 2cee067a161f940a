// Plain JavaScript, so that a Node which cannot run TypeScript can still say so.
import module from 'node:module'
import { join } from 'node:path'

const [major, minor] = process.versions.node.split('.').map(Number)

if (major < 24 || (major === 24 && minor < 2)) {
  process.stderr.write(`Parley needs Node 24.2 or newer; this is ${process.version}. "npm ci" with dev dependencies brings a fitting one.\n`)
  process.exitCode = 1
} else {
  // What was compiled once, with its types stripped, is kept for the next start. Not under coverage, which cannot count in it.
  if (process.env.NODE_V8_COVERAGE === undefined) {
    // A worker finds it in the environment only.
    process.env.NODE_COMPILE_CACHE ??= join(process.env.DATA_DIR ?? '.data', 'compile-cache')
    module.enableCompileCache(process.env.NODE_COMPILE_CACHE)
  }
  await import('./server.ts')
}
