import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { createMistralProvider } from '../src/llm/mistral/mistral-client.ts'
import { type ChatProvider, type GenerationRequest } from '../src/llm/provider.ts'

const ROUNDS = 15
const CALLS_PER_ROUND = 200
const STREAMS_PER_ROUND = 10
const CHUNKS = 500

/** A simulator of the API in a process of its own, so that its work is not counted. */
async function startSimulator (): Promise<{ child: ChildProcess, url: string }> {
  const child = spawn(process.execPath, [new URL('../src/mistral-sim/main.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env['PATH'], SIM_PORT: '0' }
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const [url] = /http:\/\/\S+/.exec(line) ?? []
    if (url !== undefined) return { child, url }
  }
  throw new Error('the simulator did not start')
}

function ask (content: string): GenerationRequest {
  return { tenantId: 'bench', sessionId: 'session', messages: [{ role: 'user', content }], model: {}, instructions: '', language: 'en' }
}

/** Reads one reply and counts its pieces. */
async function drain (provider: ChatProvider, request: GenerationRequest, stream: boolean): Promise<number> {
  let texts = 0
  for await (const { type } of provider.generate(request, { stream, signal: new AbortController().signal })) {
    if (type === 'text') texts++
  }
  return texts
}

/** CPU microseconds of this process for each unit of work that `round` did: the median of many rounds. */
async function medianCpu (round: () => Promise<number>): Promise<number> {
  for (let i = 0; i < 3; i++) await round()
  const costs: number[] = []
  for (let i = 0; i < ROUNDS; i++) {
    const before = process.cpuUsage()
    const units = await round()
    const { user, system } = process.cpuUsage(before)
    costs.push((user + system) / units)
  }
  return costs.sort((a, b) => a - b)[ROUNDS >> 1] ?? NaN
}

/** What a call and a chunk of a stream cost the client. Prints a line for each. */
export async function runClient (): Promise<void> {
  const { child, url } = await startSimulator()
  const provider = createMistralProvider({
    baseUrl: url,
    apiKey: 'bench',
    defaultModel: 'mistral-small-latest',
    maxConcurrency: 64,
    firstTokenTimeoutMs: 30_000,
    idleTimeoutMs: 20_000,
    timeoutMs: 120_000,
    logger: { warn: (facts, message) => { console.error(message, facts) } }
  })
  const times = async (count: number, content: string, stream: boolean) => {
    let texts = 0
    for (let i = 0; i < count; i++) texts += await drain(provider, ask(content), stream)
    return texts
  }
  try {
    for (const callers of [1, 64]) {
      const call = await medianCpu(async () => {
        const share = Math.ceil(CALLS_PER_ROUND / callers)
        const done = await Promise.all(Array.from({ length: callers }, async () => await times(share, 'Hi', false)))
        return done.reduce((sum, count) => sum + count, 0)
      })
      console.log(`client: ${call.toFixed(0)} us CPU per call in one piece, ${callers} at a time (goal: 300 us)`)
    }
    const chunk = await medianCpu(async () => await times(STREAMS_PER_ROUND, 'word '.repeat(CHUNKS), true))
    console.log(`client: ${chunk.toFixed(1)} us CPU per chunk of a stream (goal: 20 us)`)
  } finally {
    await provider.close()
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
}

if (import.meta.main) await runClient()
