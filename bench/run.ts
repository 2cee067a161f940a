import { runAuth } from './auth.ts'
import { runClient } from './client.ts'
import { type Ask, runQuality } from './quality.ts'
import { startServer } from './server-process.ts'
import { runTurns } from './turns.ts'

const PORT = 4108

/** Asks over HTTP: one configuration per text, one session per question. */
async function qualityOverHttp (): Promise<boolean> {
  const server = await startServer(PORT)
  const configs = new Map<string, string>()
  const post = async <T>(path: string, body: object): Promise<T> => {
    const response = await fetch(server.url + path, { method: 'POST', headers: server.headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return await response.json() as T
  }
  const ask: Ask = async (instructions, question) => {
    const configId = configs.get(instructions) ??
      (await post<{ id: string }>('/api/configs', { purpose: 'Answer questions about a text.', instructions })).id
    configs.set(instructions, configId)
    const { id } = await post<{ id: string }>('/api/sessions', { configId })
    return (await post<{ reply: string }>(`/api/sessions/${id}/messages`, { message: question })).reply
  }
  try {
    return await runQuality(ask)
  } finally {
    await server.close()
  }
}

process.exitCode = await qualityOverHttp() ? 0 : 1
await runAuth()
await runClient()
await runTurns()
