import { openLoop } from './open-loop.ts'
import { startServer, type ServerProcess } from './server-process.ts'

const PORT = 4110
const SESSIONS = 2000
// Where the peak is looked for, in turns a second.
const OFFERED = [400, 600, 800, 1000]

const quantile = (latencies: number[], q: number) =>
  latencies.toSorted((a, b) => a - b)[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? NaN

async function post (server: ServerProcess, path: string, body: object): Promise<{ id: string }> {
  const response = await fetch(server.url + path, { method: 'POST', headers: server.headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return await response.json() as { id: string }
}

/**
 * What a server does with four times as many turns as it can do, by a model that answers at once, so that nothing but the server
 * is in the way. Takes a minute.
 */
export async function runOverload (): Promise<void> {
  const server = await startServer(PORT)
  try {
    const { id: configId } = await post(server, '/api/configs', { purpose: 'Benchmark.', titles: false, summaries: false })
    const free: string[] = []
    while (free.length < SESSIONS) {
      const made = await Promise.all(Array.from({ length: 10 }, async () => (await post(server, '/api/sessions', { configId })).id))
      free.push(...made)
    }
    const body = JSON.stringify({ message: 'How are you today?' })
    const headers = [...Object.entries(server.headers), ['content-length', body.length]].map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const turn = () => {
      const session = free.shift()
      if (session === undefined) return undefined
      return {
        bytes: `POST /api/sessions/${session}/messages HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n${body}`,
        over: () => { free.push(session) }
      }
    }
    const run = async (name: string, perSecond: number, seconds: number): Promise<number> => {
      const cpu = await server.cpuSeconds()
      const started = performance.now()
      const outcome = await openLoop(PORT, perSecond, seconds, turn)
      const took = (performance.now() - started) / 1000
      const used = await server.cpuSeconds() - cpu
      const rss = /^process_resident_memory_bytes (\S+)/m.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1]
      const told = [...outcome].map(([status, latencies]) => `${latencies.length} × ${status} ` +
        `(p50 ${quantile(latencies, 0.5).toFixed(1)}, p99 ${quantile(latencies, 0.99).toFixed(1)} ms)`)
      const served = (outcome.get(200)?.length ?? 0) / took
      console.log(`${name}: ${perSecond.toFixed(0)}/s offered, ${served.toFixed(0)}/s served; ${told.join(', ')}; ` +
        `CPU ${(used / took).toFixed(2)}, ${(Number(rss) / 1e6).toFixed(0)} MB`)
      return served
    }
    await run('warm-up', 300, 4)
    await run('idle', 50, 4)
    let peak = 0
    for (const perSecond of OFFERED) peak = Math.max(peak, await run('peak', perSecond, 3))
    // First, the line is filled, as by a burst.
    await run('overload begins', 4 * peak, 4)
    await run('overload', 4 * peak, 6)
    await run('after', peak / 2, 4)
  } finally {
    await server.close()
  }
}

if (import.meta.main) await runOverload()
