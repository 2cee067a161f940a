import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { optionsHelp, readCommandLine } from '../../src/mistral-sim/command-line.ts'
import { startSim } from '../../src/mistral-sim/index.ts'
import { chatBody, post } from './support.ts'

const MAIN = fileURLToPath(new URL('../../src/mistral-sim/main.ts', import.meta.url))

function start (...args: string[]) {
  const { SIM_PORT: _, ...env } = process.env
  const child = spawn(process.execPath, [MAIN, ...args], { env })
  t.teardown(() => child.kill('SIGKILL'))
  const output = { out: '', err: '' }
  child.stdout.on('data', (data: Buffer) => { output.out += data.toString() })
  child.stderr.on('data', (data: Buffer) => { output.err += data.toString() })
  const ended = once(child, 'close').then(([code]: unknown[]) => ({ code, ...output }))
  return { child, ended }
}

t.test('the command serves until it is told to stop', async (t) => {
  const { child, ended } = start('--port', '0', '--strict')
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const url = /http:\/\/127\.0\.0\.1:\d+$/.exec(String((await lines.next()).value))?.[0] ?? ''
  t.equal((await lines.next()).value, `MISTRAL_BASE_URL=${url} MISTRAL_API_KEY=sim npm start`)
  t.equal((await fetch(`${url}/__sim/requests`)).status, 200, 'control is open')
  const wrong = await post({ url }, '/v1/chat/completions', chatBody('hi', { store: true }))
  t.equal(wrong.status, 422)
  child.kill('SIGTERM')
  t.match(await ended, { code: 1, err: /got 1 request\(s\) that the API refuses:\nPOST .* extra_forbidden/ })
})

t.test('--help explains, and what cannot be done is one line', async (t) => {
  const other = await startSim()
  t.teardown(() => other.close())
  const [help, taken, unknown] = await Promise.all([
    start('--help').ended, start('--port', String(other.port)).ended, start('--what').ended
  ])
  t.match(help, { code: 0, err: '', out: optionsHelp() })
  t.match(taken, { code: 1, out: '', err: /^mistral-sim: port \d+ cannot be used: .*EADDRINUSE.*\n$/ })
  t.match(unknown, { code: 1, out: '', err: /^mistral-sim: Unknown option '--what'.*\n$/ })
})

t.test('every option is read', async (t) => {
  const file = join(t.testdir(), 'script.json')
  const script = [{ fault: { hang: true } }]
  await writeFile(file, JSON.stringify({ script }))
  const args = [
    '--port=7', '--keys=a,b', '--quota-keys=c', '--not-in-use=m', '--problem-shape=wrapped', '--requests-per-second=1',
    '--requests-per-minute=2', '--tokens-per-minute=3', '--limit-headers=both', '--limit-body=gateway',
    '--retry-after=date', '--cadence={"eol":"crlf"}', `--script=${file}`, '--seed=4', '--header-faults', '--strict', '-h'
  ]
  t.same(readCommandLine(args, {}), {
    options: {
      port: 7,
      control: true,
      keys: ['a', 'b'],
      quotaKeys: ['c'],
      notInUse: ['m'],
      problemShape: 'wrapped',
      limits: {
        requestsPerSecond: 1,
        requestsPerMinute: 2,
        tokensPerMinute: 3,
        headers: 'both',
        bodyShape: 'gateway',
        retryAfter: 'date'
      },
      cadence: { eol: 'crlf' },
      seed: 4,
      headerFaults: true,
      strict: true
    },
    script,
    help: true
  })
  const named = [...optionsHelp().matchAll(/^ {2}--([\w-]+)/gm)].map(([, name]) => name ?? '')
  const given = args.map((arg) => /^--([\w-]+)/.exec(arg)?.[1] ?? 'help')
  t.same(named.sort(), given.sort(), 'the help names them all')
  await writeFile(file, JSON.stringify(script))
  t.same(readCommandLine(['--script', file], {}).script, script, 'a script may be a bare list')
})

t.test('the port is that of the option, of the environment, or 4010', async (t) => {
  const port = (args: string[], env: Record<string, string>): number | undefined => readCommandLine(args, env).options.port
  t.equal(port([], {}), 4010)
  t.equal(port([], { SIM_PORT: '' }), 4010)
  t.equal(port([], { SIM_PORT: '0' }), 0)
  t.equal(port(['--port', '9'], { SIM_PORT: '8' }), 9)
  for (const wrong of ['abc', '70000', '-1', '1.5', '1e3', ' 1']) {
    t.throws(() => port([], { SIM_PORT: wrong }), { message: /^SIM_PORT must be a number from 0 to 65535/ }, wrong)
    t.throws(() => port([`--port=${wrong}`], {}), { message: /^--port must be a number from 0 to 65535/ }, wrong)
  }
})

t.test('a value that is wrong is named', async (t) => {
  const folder = t.testdir({ 'bad.json': '{', 'odd.json': '[{"fault":{"explode":1}}]', 'none.json': '7' })
  const refused: Array<[string, RegExp]> = [
    ['--port', /argument missing/], ['--strict=yes', /does not take an argument/], ['extra', /Unexpected argument/],
    ['--problem-shape=x', /--problem-shape must be one of detail, wrapped, string, not "x"/],
    ['--limit-headers=x', /--limit-headers must be one of/], ['--retry-after=5', /--retry-after must be one of/],
    ['--requests-per-second=-1', /--requests-per-second must be a number/], ['--seed=x', /--seed must be a number/],
    ['--cadence={', /--cadence must be JSON/], ['--cadence={"eol":"cr"}', /--cadence is wrong: cadence\.eol/],
    ['--script=none', /--script ENOENT/], [`--script=${folder}/bad.json`, /--script must be JSON/],
    [`--script=${folder}/odd.json`, /--script script\.0\.fault\.explode: Extra/],
    [`--script=${folder}/none.json`, /--script script: Input should be a valid list/]
  ]
  for (const [arg, message] of refused) t.throws(() => readCommandLine([arg], {}), { message }, arg)
})
