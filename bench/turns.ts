import { Pool } from 'undici'
import { startSim } from '../src/mistral-sim/index.ts'
import { startServer, type ServerProcess } from './server-process.ts'

const PORT = 4109
const WARM_UP = 300

interface Measured {
  readonly turnsPerSecond: number
  readonly cpuMs: number
  readonly p50: number
  readonly p99: number
}

const quantile = (sorted: number[], q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0

async function post (pool: Pool, { headers }: ServerProcess, path: string, body: object): Promise<{ id: string, reply: string }> {
  const response = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body) })
  const text = await response.body.text()
  if (response.statusCode >= 300) throw new Error(`${response.statusCode}: ${text}`)
  return JSON.parse(text) as { id: string, reply: string }
}

/** Sends `total` messages, `concurrency` at a time, each caller in a session of its own. An error ends the run. */
async function measure (server: ServerProcess, concurrency: number, total: number): Promise<Measured> {
  const pool = new Pool(server.url, { connections: concurrency, pipelining: 1 })
  const { id: configId } = await post(pool, server, '/api/configs', { purpose: 'Benchmark.', historyLimit: 20 })
  const sessions = await Promise.all(Array.from({ length: concurrency }, async () => await post(pool, server, '/api/sessions', { configId })))
  const latencies: number[] = []
  let left = 0
  const caller = async (session: string) => {
    while (left-- > 0) {
      const started = performance.now()
      const { reply } = await post(pool, server, `/api/sessions/${session}/messages`, { message: 'How are you today?' })
      if (reply === '') throw new Error('an empty reply')
      latencies.push(performance.now() - started)
    }
  }
  const round = async (count: number) => {
    left = count
    await Promise.all(sessions.map(async ({ id }) => await caller(id)))
  }
  await round(WARM_UP)
  latencies.length = 0
  const cpu = await server.cpuSeconds()
  const started = performance.now()
  await round(total)
  const seconds = (performance.now() - started) / 1000
  const cpuMs = (await server.cpuSeconds() - cpu) * 1000 / total
  await pool.close()
  latencies.sort((a, b) => a - b)
  return { turnsPerSecond: total / seconds, cpuMs, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) }
}

/** Stored turns over HTTP, with a simulated model that answers at once. Prints a table row per number of callers. */
export async function runTurns (): Promise<void> {
  const sim = await startSim()
  const server = await startServer(PORT, { MISTRAL_BASE_URL: sim.url, MISTRAL_API_KEY: 'sim', LOG_LEVEL: 'info' })
  try {
    console.log(`turns: ready ${server.readyAfterMs.toFixed(0)} ms after the start of the process`)
    for (const [concurrency, total] of [[1, 1000], [64, 5000]] as const) {
      const { turnsPerSecond, cpuMs, p50, p99 } = await measure(server, concurrency, total)
      console.log(`turns: ${concurrency} callers: ${turnsPerSecond.toFixed(0)} turns/s, p50 ${p50.toFixed(2)} ms, ` +
        `p99 ${p99.toFixed(2)} ms, ${cpuMs.toFixed(2)} ms CPU a turn, store included`)
    }
  } finally {
    await server.close()
    await sim.close()
  }
}

if (import.meta.main) await runTurns()
