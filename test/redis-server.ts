import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Test } from 'tap'
import { freePort } from './free-port.ts'

/** Why tests with a real Redis are skipped; false where there is one. */
export const withoutRedis = spawnSync('redis-server', ['--version']).status !== 0 && 'there is no redis-server'

/** A Redis of a test's own, which can go away and come back on the same port; ended with the test at the latest. */
export class RedisServer {
  readonly url: string
  readonly #args: string[]
  #child: ChildProcess | undefined

  private constructor (port: number, password: string | undefined) {
    this.url = `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${port}`
    const auth = password === undefined ? [] : ['--requirepass', password]
    this.#args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...auth]
  }

  static async start (test: Test, password?: string): Promise<RedisServer> {
    const redis = new RedisServer(await freePort(), password)
    test.teardown(async () => await redis.stop())
    await redis.start()
    return redis
  }

  /** Resolves when it takes connections. */
  async start (): Promise<void> {
    this.#child = spawn('redis-server', this.#args, { stdio: ['ignore', 'pipe', 'inherit'] })
    for await (const line of createInterface(this.#child.stdout!)) {
      if (line.includes('Ready to accept connections')) break
    }
    this.#child.stdout!.resume()
  }

  async stop (): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child) return
    child.kill('SIGKILL')
    await once(child, 'close')
  }
}
