import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { type Test } from 'tap'
import { Environment } from '../src/config.ts'
import { Client } from './helper.ts'

const root = new URL('..', import.meta.url).pathname

/** This environment without the variables of the server, so that a test says all it wants of it. */
function environment (env: Record<string, string>): Record<string, string | undefined> {
  const unset = Object.fromEntries(Object.keys(Environment.properties).map((name) => [name, undefined]))
  return { ...process.env, ...unset, ...env }
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A server in a process of its own, ended with the test at the latest. */
export class ServerProcess {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  stdout = ''
  stderr = ''
  readonly #serving = Promise.withResolvers<void>()
  readonly #greeted = Promise.withResolvers<void>()

  /** `command`: what runs the script; `entry`: the script, from the root of the project. */
  constructor (test: Test, env: Record<string, string>, { command = [process.execPath], entry = 'src/start.js' } = {}) {
    this.child = spawn(command[0]!, [...command.slice(1), root + entry], { cwd: root, env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] })
    createInterface(this.child.stdout!).on('line', (line) => {
      this.stdout += `${line}\n`
      if (line.includes('"msg":"serving"')) this.#serving.resolve()
      if (line.startsWith('curl ')) this.#greeted.resolve()
    })
    createInterface(this.child.stderr!).on('line', (line) => { this.stderr += `${line}\n` })
    this.ended = once(this.child, 'close').then(([code]) => ({ code: code as number | null, stdout: this.stdout, stderr: this.stderr }))
    test.teardown(async () => {
      this.child.kill('SIGKILL')
      await this.ended
    })
  }

  /** Waits until it serves and gives its address. Rejects when it ends before. */
  async serving (): Promise<string> {
    await this.#unlessEnded(this.#serving.promise)
    return this.logged('serving')['docs']!.replace(/\/docs$/, '')
  }

  /** The lines that hold a conversation, once they are printed. */
  async greeting (): Promise<string> {
    await this.#unlessEnded(this.#greeted.promise)
    return this.stdout.split('\n').filter((line) => line.includes('curl ')).join('\n')
  }

  async #unlessEnded (event: Promise<void>): Promise<void> {
    const failed = this.ended.then(({ stderr }) => { throw new Error(`the server did not start: ${stderr}`) })
    await Promise.race([event, failed])
  }

  /** The first log record with this message. */
  logged (message: string): Record<string, string> {
    const lines = this.stdout.split('\n').filter((line) => line.startsWith('{'))
    return lines.map((line) => JSON.parse(line) as Record<string, string>).find(({ msg }) => msg === message) ?? {}
  }

  async client (key: string): Promise<Client> {
    return new Client(await this.serving(), { 'x-api-key': key })
  }

  async end (signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.child.kill(signal)
    return await this.ended
  }
}

/** What the last of them answers. */
export interface Pasted extends Record<string, unknown> {
  readonly reply: string
  readonly botMessage: { readonly id: string, readonly sessionId: string, readonly model: string }
}

/** Runs lines in a shell, as a reader does who pastes them. */
export async function paste (lines: string, env: Record<string, string> = {}): Promise<Pasted> {
  const { stdout } = await promisify(execFile)('bash', ['-c', lines], { env: { ...process.env, ...env } })
  return JSON.parse(stdout) as Pasted
}
