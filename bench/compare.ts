import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { type Lengths, type Row, runSuite } from './rounds.ts'
import { b4, c, parley, parleyDoor } from './contenders.ts'
import { passThrough } from './suites/pass-through.ts'
import { turns } from './suites/turns.ts'
import { circumstances, markdown, type Result } from './table.ts'

const MOST_LOSS = 0.25
const QUICK_LOADS = [{ callers: 64, delayMs: 0 }]
const RESULTS = new URL('results/', import.meta.url)

const full: Lengths = { rounds: 3, warmUpSeconds: 3, windowSeconds: 5 }
const short: Lengths = { rounds: 3, warmUpSeconds: 3, windowSeconds: 2 }

const suites = { turns, 'pass-through': passThrough }
const quickSuites = {
  'quick-turns': { ...turns, contenders: [b4, parley], loads: QUICK_LOADS },
  'quick-pass-through': { ...passThrough, contenders: [c, parleyDoor], loads: QUICK_LOADS }
}

/** What of a row has become worse, beside the same row of an earlier result. */
function losses (name: string, rows: readonly Row[], earlier: readonly Row[]): string[] {
  return rows.flatMap(({ server, rate: [rate], cpu: [cpu] }, i) => {
    const before = earlier[i]
    if (before?.server !== server) return [`${name}: the committed result has other rows`]
    return [
      ...(rate < before.rate[0] * (1 - MOST_LOSS) ? [`${name}, ${server}: rate ${rate.toFixed(2)}, was ${before.rate[0].toFixed(2)}`] : []),
      ...(cpu > before.cpu[0] / (1 - MOST_LOSS) ? [`${name}, ${server}: CPU ${cpu.toFixed(2)}, was ${before.cpu[0].toFixed(2)}`] : [])
    ]
  })
}

const { values: { quick, write, short: shortened }, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean' }, write: { type: 'boolean' }, short: { type: 'boolean' } }
})

const chosen = Object.entries(quick ? quickSuites : suites).filter(([name]) => positionals.length === 0 || positionals.includes(name))
const lengths = quick || shortened ? short : full
const lost: string[] = []
await mkdir(RESULTS, { recursive: true })
for (const [name, suite] of chosen) {
  const rows = await runSuite(suite, lengths)
  const result: Result = { suite: suite.name, unit: suite.unit, rounds: lengths.rounds, ...circumstances(), rows }
  console.log(markdown(result))
  const file = new URL(`${name}.json`, RESULTS)
  if (quick && existsSync(file)) lost.push(...losses(name, rows, (JSON.parse(await readFile(file, 'utf8')) as Result).rows))
  if (!write) continue
  await writeFile(file, `${JSON.stringify(result, undefined, 2)}\n`)
  await writeFile(new URL(`${name}.md`, RESULTS), markdown(result))
}
for (const loss of lost) console.error(loss)
if (lost.length > 0) process.exitCode = 1
