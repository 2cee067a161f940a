import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../helper.ts'
import { withoutPrometheus } from '../prometheus.ts'
import { startAppWithSim } from '../sim.ts'

t.setTimeout(120_000)
const root = new URL('../..', import.meta.url).pathname
const rules = `${root}deploy/prometheus/rules/parley.yml`

t.test('promtool takes the rules, and alerts come when they are due', { skip: withoutPrometheus }, async (t) => {
  const run = async (...args: string[]) => (await promisify(execFile)('promtool', args, { cwd: root })).stdout
  t.match(await run('check', 'rules', rules), /SUCCESS: \d+ rules found/)
  t.match(await run('test', 'rules', 'deploy/prometheus/rules.test.yml'), 'SUCCESS')
})

/** A Prometheus that scrapes a Parley every second; ended with the test. Answers where it is. */
async function startPrometheus (t: Test, target: string): Promise<string> {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'prometheus.yml')
  await writeFile(file, JSON.stringify({
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: [rules],
    scrape_configs: [{ job_name: 'parley', static_configs: [{ targets: [new URL(target).host] }] }]
  }))
  const child = spawn('prometheus', [
    `--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`, '--web.listen-address=127.0.0.1:0', '--log.level=info'
  ], { stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill()
    await gone
  })
  let said = ''
  // Closed, its log would end it with the next line.
  for await (const chunk of child.stderr.iterator({ destroyOnReturn: false })) {
    said += String(chunk)
    const [, address] = /msg="Listening on" address=(\S+)/.exec(said) ?? []
    if (address !== undefined && said.includes('Server is ready to receive web requests')) {
      child.stderr.resume()
      return `http://${address}`
    }
  }
  throw new Error(said)
}

t.test('a real Prometheus scrapes a real Parley', { skip: withoutPrometheus }, async (t) => {
  const { client, sim } = await startAppWithSim(t)
  const prometheus = await startPrometheus(t, client.url)
  const ask = async <T>(path: string): Promise<T> => (await (await fetch(`${prometheus}/api/v1/${path}`)).json() as { data: T }).data
  const query = async (expr: string) =>
    (await ask<{ result: Array<{ metric: Record<string, string>, value: [number, string] }> }>(`query?query=${encodeURIComponent(expr)}`)).result
  const until = async <T>(look: () => Promise<T | undefined>): Promise<T> => {
    for (;;) {
      const found = await look()
      if (found !== undefined) return found
      await delay(200)
    }
  }
  const path = `/api/sessions/${await client.converse()}/messages`
  const say = async () => await client.ask(path, { body: { message: 'How are you?' } })
  await say()
  const first = await until(async () => (await query('chat_messages_total{role="bot"} == 1'))[0])
  t.match(first.metric, { job: 'parley', instance: new URL(client.url).host })
  t.equal((await query('up{job="parley"}'))[0]?.value[1], '1')
  const [target] = (await ask<{ activeTargets: Array<{ health: string, lastError: string }> }>('targets')).activeTargets
  t.match(target, { health: 'up', lastError: '' })
  t.equal((await query('time() - max(job_last_run_timestamp_seconds{work="reaper"}) < 60')).length, 1, 'the reaper was here')

  // The model goes away: the breaker opens, and the alert is on its way.
  sim.script([{ times: 'always', fault: { status: { code: 500 } } }])
  for (let i = 0; i < 4; i++) await say()
  const alerts = await until(async () => {
    const { alerts } = await ask<{ alerts: Array<{ labels: Record<string, string>, state: string }> }>('alerts')
    return alerts.some(({ labels }) => labels['alertname'] === 'ParleyModelDown') ? alerts : undefined
  })
  t.match(alerts.find(({ labels }) => labels['alertname'] === 'ParleyModelDown'), { state: 'pending', labels: { model: 'mistral-small-latest', severity: 'critical' } })
  for (const group of (await ask<{ groups: Array<{ rules: Array<{ name: string, health: string }> }> }>('rules')).groups) {
    for (const { name, health } of group.rules) t.match(health, /^(ok|unknown)$/, name)
  }
})
