import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { isMainThread } from 'node:worker_threads'

// For the coverage, V8 counts how often each block of each function runs, in packages too, which took a quarter of the time of all
// tests and is read by nobody. It does not count what was compiled before it was told to. Tap tells it when a process begins;
// this is loaded before that, and compiles the packages as wholes, and not each function when it is first called.
const { dependencies } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { dependencies: Record<string, string> }
// The thread of the embedded store loads little.
const packages = isMainThread ? Object.keys(dependencies) : ['bson', 'lmdb', 'mingo', 'mingo/aggregator']

if (process.env['_TAPJS_PROCESSINFO_COVERAGE_'] !== '0') {
  const require = createRequire(import.meta.url)
  setFlagsFromString('--no-lazy')
  for (const name of packages) {
    try {
      require(fileURLToPath(import.meta.resolve(name)))
    } catch {
      // Some are only to be imported in parts: those are counted.
    }
  }
  setFlagsFromString('--lazy')
}
