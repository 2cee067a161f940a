import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startSim } from '../../src/mistral-sim/index.ts'

const MAIN = fileURLToPath(new URL('../../src/mistral-sim/main.ts', import.meta.url))

interface Ended { code: unknown, out: string, err: string }

async function run (port: string | undefined, args: string[] = []): Promise<Ended> {
  const child = start(port, args)
  let [out, err] = ['', '']
  child.stdout.on('data', (data: Buffer) => { out += data.toString() })
  child.stderr.on('data', (data: Buffer) => { err += data.toString() })
  const [code] = await once(child, 'close') as unknown[]
  return { code, out, err }
}

function start (port: string | undefined, args: string[] = []) {
  const { SIM_PORT: _, ...env } = process.env
  const own = port === undefined ? env : { ...env, SIM_PORT: port }
  const child = spawn(process.execPath, [MAIN, ...args], { env: own })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

t.test('the command serves until it is told to stop', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const child = start('0')
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    const first = String((await lines.next()).value)
    const url = /http:\/\/127\.0\.0\.1:\d+$/.exec(first)?.[0] ?? ''
    t.equal((await lines.next()).value, `MISTRAL_BASE_URL=${url} MISTRAL_API_KEY=sim npm start`)
    const models = await fetch(`${url}/v1/models`, { headers: { authorization: 'Bearer sim' } })
    t.equal(models.status, 200)
    await models.text()
    t.equal((await fetch(`${url}/__sim/requests`)).status, 200, 'control is open')
    child.kill(signal)
    t.same(await once(child, 'exit'), [0, null])
  }
})

t.test('--help explains, and a bad port is one line that names the variable', async (t) => {
  t.match(await run(undefined, ['--help']), { code: 0, out: /SIM_PORT .*4010/, err: '' })
  for (const port of ['abc', '70000', '-1']) {
    t.match(await run(port), { code: 1, out: '', err: /^mistral-sim: SIM_PORT must be a number.*\n$/ }, port)
  }
  const other = await startSim()
  t.teardown(() => other.close())
  const taken = /^mistral-sim: SIM_PORT \d+ cannot be used: .*EADDRINUSE.*\n$/
  t.match(await run(String(other.port)), { code: 1, err: taken })
})
