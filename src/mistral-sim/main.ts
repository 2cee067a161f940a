import { type Command, optionsHelp, readCommandLine } from './command-line.ts'
import { startSim } from './index.ts'

const HELP = `mistral-sim: a local server that behaves like Mistral's API

Usage: npm run mistral-sim -- [options]

It answers chat, FIM, embeddings, moderations and models on the loopback interface, checks every request as the API
does, and needs no key and no network. Replies are made from the request: the same request gets the same text.

Options:
${optionsHelp()}

Control (JSON):
  GET    /__sim/requests    what was received and answered
  DELETE /__sim/requests    forget it
  POST   /__sim/script      {"script": [{"match": {...}, "times": 1, "fault": {...}}]}
  POST   /__sim/reset       forget everything

docs/mistral-sim.md has the details.`

function fail (error: unknown): void {
  console.error(`mistral-sim: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}

async function run ({ options, script }: Command): Promise<void> {
  const sim = await startSim(options).catch((error: unknown) => {
    throw new Error(`port ${String(options.port)} cannot be used: ${String(error)}`)
  })
  sim.script(script)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { sim.close().catch(fail) })
  console.log(`mistral-sim listens on ${sim.url}`)
  console.log(`MISTRAL_BASE_URL=${sim.url} MISTRAL_API_KEY=sim npm start`)
}

try {
  const command = readCommandLine(process.argv.slice(2), process.env)
  if (command.help) console.log(HELP)
  else await run(command)
} catch (error) {
  fail(error)
}
