import { createServer } from 'node:http'
import { type AddressInfo } from 'node:net'
import { type ScriptEntry } from './faults/schema.ts'
import { settingsOf, type SimOptions } from './options.ts'
import { type RequestRecord } from './http/recording.ts'
import { Simulator } from './simulator.ts'

export { type Clock } from './clock.ts'
export { type Fault, type Match, type ScriptEntry } from './faults/schema.ts'
export { type SimOptions } from './options.ts'
export { type RequestRecord } from './http/recording.ts'
export { type Cadence } from './http/cadence.ts'
export { type Limits } from './limiter/limits.ts'

/** A running simulator. */
export interface Sim {
  /** Without a slash at the end, and without /v1. */
  readonly url: string
  readonly port: number
  /** The last 1000 requests, oldest first; records of running requests are live. */
  requests (): readonly RequestRecord[]
  /** Adds faults and manners for coming requests, first in, first out. Throws when the entries are no script. */
  script (entries: readonly ScriptEntry[]): void
  /** Forgets requests, script and cached prompts and counts from one again. */
  reset (): void
  /** Resolves when no request is being answered. */
  idle (): Promise<void>
  /** Ends every connection. Rejects in strict mode when a request had schema errors that were not expected. */
  close (): Promise<void>
}

/** Starts a simulator of Mistral's API on the loopback interface. Rejects when the port is taken. */
export async function startSim (options: SimOptions = {}): Promise<Sim> {
  const settings = settingsOf(options)
  const simulator = new Simulator(settings)
  const server = createServer((request, response) => { void simulator.handle(request, response) })
  server.on('connection', (socket) => simulator.accept(socket))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(settings.port, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: () => simulator.requests(),
    script: (entries) => simulator.script(entries),
    reset: () => simulator.reset(),
    idle: () => simulator.idle(),
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      refuseUnexpected(simulator.unexpected())
    }
  }
}

function refuseUnexpected (records: readonly RequestRecord[]): void {
  if (records.length === 0) return
  const lines = records.map(({ method, path, schemaErrors }) =>
    `${method} ${path}: ${schemaErrors.map(({ type, loc }) => `${type} at ${loc.join('.')}`).join(', ')}`)
  throw new Error(`mistral-sim got ${records.length} request(s) that the API refuses:\n${lines.join('\n')}`)
}
