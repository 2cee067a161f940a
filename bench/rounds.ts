import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Contender, PORT } from './contenders.ts'
import { closedLoop, median } from './load.ts'
import { LOAD_CORE, SERVER_CORE, startPinned } from './pinned.ts'
import { type Suite } from './suites/suite.ts'
import { startUpstream, type Upstream } from './upstream.ts'
import { measure, type Window } from './window.ts'

const STORE_PORT = 4121

export interface Lengths {
  readonly rounds: number
  readonly warmUpSeconds: number
  readonly windowSeconds: number
}

export interface Row {
  readonly server: string
  readonly callers: number
  readonly delayMs: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly cpuUs: number
  readonly rssMb: number
  readonly readyMs: number
  readonly foreign: number
  /** Of requests per second and of CPU a request to those of the first server: median, least and most of the rounds. */
  readonly rate: readonly [number, number, number]
  readonly cpu: readonly [number, number, number]
}

interface Sample extends Window {
  readonly rssMb: number
  readonly readyMs: number
}

/** A fresh server on a fresh store, under each load in turn. */
async function oneServer ({ file, args, env, asks }: Contender, { loads }: Suite, upstream: Upstream, lengths: Lengths): Promise<Sample[]> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-'))
  const store = await startPinned(LOAD_CORE, '../src/embedded-mongo/main.ts', STORE_PORT, { STORE_PORT: String(STORE_PORT), DATA_DIR: join(folder, 'store') })
  const storeUri = `mongodb://127.0.0.1:${STORE_PORT}/?directConnection=true`
  const server = await startPinned(SERVER_CORE, file, PORT, { PORT: String(PORT), ...env({ upstream: upstream.url, storeUri, folder: join(folder, 'server') }) }, args)
  const url = `http://127.0.0.1:${PORT}`
  const samples: Sample[] = []
  try {
    for (const { callers, delayMs } of loads) {
      upstream.delayMs = delayMs
      const asked = await asks(url, callers, upstream.url)
      const called = upstream.calls
      const { count } = await closedLoop(url, asked, lengths.warmUpSeconds)
      if (upstream.calls - called < count) throw new Error(`${file} answered without asking the model`)
      const window = await measure(url, asked, lengths.windowSeconds, server, store)
      samples.push({ ...window, rssMb: server.rssMb(), readyMs: server.readyAfterMs })
    }
  } finally {
    await server.close()
    await store.close()
    await rm(folder, { recursive: true, force: true })
  }
  return samples
}

const spread = (values: number[]) => [median(values), Math.min(...values), Math.max(...values)] as const

/** All servers of a suite, one after the other, as many times as there are rounds. */
export async function runSuite (suite: Suite, lengths: Lengths): Promise<Row[]> {
  execFileSync('taskset', ['-acp', String(LOAD_CORE), String(process.pid)])
  const upstream = await startUpstream()
  const rounds: Sample[][][] = []
  try {
    for (let round = 0; round < lengths.rounds; round++) {
      const servers: Sample[][] = []
      for (const contender of suite.contenders) servers.push(await oneServer(contender, suite, upstream, lengths))
      rounds.push(servers)
    }
  } finally {
    await upstream.close()
  }
  return suite.loads.flatMap(({ callers, delayMs }, load) => suite.contenders.map(({ name }, server) => {
    const own = rounds.map((servers) => servers[server]![load]!)
    const first = rounds.map(([reference]) => reference![load]!)
    const middle = (value: (sample: Sample) => number) => median(own.map(value))
    return {
      server: name,
      callers,
      delayMs,
      perSecond: middle(({ perSecond }) => perSecond),
      p50: middle(({ p50 }) => p50),
      p99: middle(({ p99 }) => p99),
      cpuUs: middle(({ cpuUs }) => cpuUs),
      rssMb: middle(({ rssMb }) => rssMb),
      readyMs: middle(({ readyMs }) => readyMs),
      foreign: Math.max(...own.map(({ foreign }) => foreign)),
      rate: spread(own.map(({ perSecond }, round) => perSecond / first[round]!.perSecond)),
      cpu: spread(own.map(({ cpuUs }, round) => cpuUs / first[round]!.cpuUs))
    }
  }))
}
