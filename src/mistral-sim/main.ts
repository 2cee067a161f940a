import { startSim } from './index.ts'

const DEFAULT_PORT = 4010

const HELP = `mistral-sim: a local server that behaves like Mistral's API

Usage: npm run mistral-sim

It answers chat, FIM, embeddings, moderations and models on the loopback interface, checks every request as the API
does, and needs no key and no network. Replies are made from the request: the same request gets the same text.

Environment:
  SIM_PORT   port to listen on, default ${DEFAULT_PORT}; 0 takes a free one

Control (JSON):
  GET    /__sim/requests   what was received and answered
  DELETE /__sim/requests   forget it
  POST   /__sim/script     {"script": [{"match": {...}, "times": 1, "fault": {...}}]}
  POST   /__sim/reset      forget everything

docs/mistral-sim.md has the details.`

/** The port to listen on; undefined: SIM_PORT is no port. */
function portFrom (value: string | undefined): number | undefined {
  if (value === undefined || value === '') return DEFAULT_PORT
  const port = /^\d{1,5}$/.test(value) ? Number(value) : NaN
  return port <= 65535 ? port : undefined
}

function fail (problem: string): void {
  console.error(`mistral-sim: SIM_PORT ${problem}`)
  process.exitCode = 1
}

async function run (): Promise<void> {
  const port = portFrom(process.env.SIM_PORT)
  if (port === undefined) return fail(`must be a number from 0 to 65535, not "${String(process.env.SIM_PORT)}"`)
  try {
    const sim = await startSim({ port, control: true })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { void sim.close() })
    console.log(`mistral-sim listens on ${sim.url}`)
    console.log(`MISTRAL_BASE_URL=${sim.url} MISTRAL_API_KEY=sim npm start`)
  } catch (error) {
    fail(`${port} cannot be used: ${error instanceof Error ? error.message : String(error)}`)
  }
}

if (process.argv.includes('--help') || process.argv.includes('-h')) console.log(HELP)
else await run()
