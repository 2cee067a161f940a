import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { type Row } from './rounds.ts'

export interface Result {
  readonly suite: string
  readonly unit: string
  readonly rounds: number
  readonly date: string
  readonly commit: string
  readonly node: string
  readonly machine: string
  readonly rows: readonly Row[]
}

export const circumstances = () => ({
  date: new Date().toISOString().slice(0, 10),
  commit: execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim(),
  node: process.version,
  machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`
})

const ratio = ([middle, least, most]: readonly [number, number, number]) => `${middle.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`

export function markdown ({ suite, unit, rounds, date, commit, node, machine, rows }: Result): string {
  const reference = rows[0]?.server ?? ''
  return [
    `## ${suite}`,
    '',
    `${date}, commit ${commit}, Node ${node}, ${machine}, ${rounds} rounds.`,
    '',
    `| server | callers | model, ms | ${unit} | × ${reference} | CPU, µs | × ${reference} | p50, ms | p99, ms | RSS, MB | ready, ms | foreign CPU |`,
    '| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |',
    ...rows.map((row) => `| ${[
      row.server, row.callers, row.delayMs, row.perSecond.toFixed(0), ratio(row.rate), row.cpuUs.toFixed(0), ratio(row.cpu), row.p50.toFixed(2),
      row.p99.toFixed(1), row.rssMb.toFixed(0), row.readyMs.toFixed(0), `${(row.foreign * 100).toFixed(1)} %`
    ].join(' | ')} |`),
    ''
  ].join('\n')
}
