import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** What is measured runs here; all else, this process included, on the other core. */
export const SERVER_CORE = 0
export const LOAD_CORE = 1

const TICKS_PER_SECOND = 100
const READY_TIMEOUT_MS = 20_000

// A run that fails leaves nothing behind that would hold a port or a core.
const running = new Set<ChildProcess>()
process.on('exit', () => { for (const child of running) child.kill('SIGKILL') })

export interface Pinned {
  readonly child: ChildProcess
  readonly readyAfterMs: number
  /** CPU seconds of all its threads. */
  cpuSeconds (): number
  rssMb (): number
  close (): Promise<void>
}

async function listens (port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  return await new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)))
    .finally(() => socket.destroy())
}

/** Starts a program of Node on one core and waits until it takes connections. A taken port is refused. */
export async function startPinned (core: number, file: string, port: number, env: Record<string, string>, args: readonly string[] = []): Promise<Pinned> {
  if (await listens(port)) throw new Error(`port ${port} is taken`)
  const started = performance.now()
  const child = spawn('taskset', ['-c', String(core), process.execPath, new URL(file, import.meta.url).pathname, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'], env: { PATH: process.env['PATH'], NODE_ENV: 'development', ...env }
  })
  running.add(child)
  while (!await listens(port)) {
    if (performance.now() - started > READY_TIMEOUT_MS || child.exitCode !== null) {
      child.kill('SIGKILL')
      throw new Error(`${file} did not get ready`)
    }
    await delay(5)
  }
  const proc = (name: string) => readFileSync(`/proc/${child.pid}/${name}`, 'utf8')
  return {
    child,
    readyAfterMs: performance.now() - started,
    cpuSeconds: () => ticksOf(proc('stat')) / TICKS_PER_SECOND,
    rssMb: () => Number(/VmRSS:\s+(\d+)/.exec(proc('status'))?.[1]) / 1024,
    async close () {
      child.kill('SIGTERM')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      running.delete(child)
    }
  }
}

/** utime and stime of a process, from behind its name, which may hold anything. */
const ticksOf = (stat: string) => {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** Busy CPU seconds of the whole machine, of every process. */
export function machineSeconds (): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.split(/\s+/).slice(1).map(Number)
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND
}
