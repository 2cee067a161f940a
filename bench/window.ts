import { type Ask, closedLoop, type Load } from './load.ts'
import { machineSeconds, type Pinned } from './pinned.ts'

const MOST_FOREIGN = 0.06
const TRIES = 8

export interface Window extends Load {
  /** CPU microseconds of the server for each request. */
  readonly cpuUs: number
  /** Share of the machine that others took meanwhile. */
  readonly foreign: number
}

/** One window of load. It is repeated while something else takes more than 6 % of the machine. */
export async function measure (url: string, asks: readonly Ask[], seconds: number, server: Pinned, store?: Pinned): Promise<Window> {
  let foreign = NaN
  for (let i = 0; i < TRIES; i++) {
    const own = () => server.cpuSeconds() + (store?.cpuSeconds() ?? 0) + process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6
    const [cpu, ours, all, at] = [server.cpuSeconds(), own(), machineSeconds(), performance.now()]
    const load = await closedLoop(url, asks, seconds)
    const elapsed = (performance.now() - at) / 1000
    foreign = Math.max(0, machineSeconds() - all - (own() - ours)) / elapsed / 2
    if (load.count === 0) throw new Error(`${url} answered nothing`)
    if (foreign <= MOST_FOREIGN) return { ...load, cpuUs: (server.cpuSeconds() - cpu) * 1e6 / load.count, foreign }
  }
  throw new Error(`the machine is not quiet: others took ${(foreign * 100).toFixed(0)} %`)
}
