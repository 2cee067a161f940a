import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { newApiKey } from '../src/auth/api-key.ts'

/** A Parley in a process of its own, as `npm start` runs it, on an empty store. */
export interface ServerProcess {
  readonly url: string
  readonly headers: Record<string, string>
  /** Milliseconds from the start of the process until it was ready. */
  readonly readyAfterMs: number
  /** CPU seconds that the process has used, store included. */
  cpuSeconds (): Promise<number>
  close (): Promise<void>
}

const READY_POLL_MS = 5
const READY_TIMEOUT_MS = 20_000

/** Starts a server on a free port. Rejects when it does not get ready within 20 s. */
export async function startServer (port: number, env: Record<string, string> = {}): Promise<ServerProcess> {
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-bench-'))
  const key = newApiKey()
  const started = performance.now()
  const child = spawn(process.execPath, [new URL('../src/start.js', import.meta.url).pathname], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'], PORT: String(port), DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, RATE_LIMIT_PER_MINUTE: '0', ...env
    }
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = `http://127.0.0.1:${port}`
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  // With its own key: another server on that port is not taken for it.
  while (!await fetch(`${url}/api/configs`, { headers }).then(({ ok }) => ok, () => false)) {
    if (performance.now() - started > READY_TIMEOUT_MS || child.exitCode !== null) {
      child.kill('SIGKILL')
      throw new Error('the server did not get ready')
    }
    await delay(READY_POLL_MS)
  }
  return {
    url,
    headers,
    readyAfterMs: performance.now() - started,
    async cpuSeconds () {
      const metrics = await (await fetch(`${url}/metrics`)).text()
      return Number(/^process_cpu_seconds_total (\S+)/m.exec(metrics)?.[1])
    },
    async close () {
      child.kill('SIGTERM')
      await exited
      await rm(dataDir, { recursive: true, force: true })
    }
  }
}
