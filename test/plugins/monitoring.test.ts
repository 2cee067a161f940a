import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'
import { dashboards, fileOf } from '../../deploy/grafana/dashboards.ts'
import { startApp } from '../helper.ts'
import { metricsIn } from '../prometheus.ts'

interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly labels?: { readonly severity: string }
  readonly annotations?: { readonly summary: string, readonly runbook: string }
}

const root = new URL('../..', import.meta.url).pathname
const { groups } = parse(await readFile(`${root}deploy/prometheus/rules/parley.yml`, 'utf8')) as { groups: Array<{ rules: Rule[] }> }
const rules = groups.flatMap(({ rules }) => rules)
const alerts = rules.filter(({ alert }) => alert !== undefined)

// What others than Parley tell, and what is told only with TLS.
const elsewhere = new Set(['up', 'probe_ssl_earliest_cert_expiry', 'certmanager_certificate_expiration_timestamp_seconds', 'tls_certificate_expiry_timestamp_seconds'])

t.test('whatever rules and dashboards ask for is there', async (t) => {
  const { app } = await startApp(t, { MISTRAL_API_KEY: 'none', MISTRAL_BASE_URL: 'http://127.0.0.1:1' })
  const text = await app.metrics.metrics()
  const known = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]))
  const recorded = new Set(rules.map(({ record }) => record))
  const isThere = (name: string) => recorded.has(name) || elsewhere.has(name) ||
    (known.has(name) && known.get(name) !== 'histogram') || ['histogram', 'summary'].includes(known.get(name.replace(/_(bucket|sum|count)$/, '')) ?? '')
  const exprs = [...rules.map(({ expr }) => expr), ...dashboards.flatMap(({ panels }) => panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)))]
  const asked = new Set(exprs.flatMap(metricsIn))
  t.ok(asked.size > 30, `${asked.size} metrics`)
  t.same([...asked].filter((name) => !isThere(name)), [])
  const own = [...known.keys()].filter((name) => !/^(process|nodejs)_/.test(name))
  t.same(own.filter((name) => ![...asked].some((one) => one.startsWith(name))), [], 'and all that Parley counts is shown somewhere')
  for (const route of rules.flatMap(({ expr }) => [...expr.matchAll(/route!?~"([^"]+)"/g)].flatMap(([, routes]) => routes!.split('|')))) {
    t.ok(['GET', 'POST'].some((method) => app.hasRoute({ method, url: route })), `there is ${route}`)
  }
})

t.test('each alert has a page that says what to do, and each page an alert', async (t) => {
  const pages = new Set<string>()
  for (const { labels, annotations } of alerts) {
    t.match(labels?.severity, /^(critical|warning)$/)
    pages.add(annotations!.runbook)
    t.match(await readFile(root + annotations!.runbook, 'utf8'), /^# Parley\w+\n[^]+\n## Look at\n[^]+\n## Do\n/)
  }
  t.same([...pages].sort(), (await readdir(`${root}docs/runbooks`)).sort().map((name) => `docs/runbooks/${name}`))
})

// promtool itself runs it among the tests under faults, because it takes some seconds.
t.test('each alert is tried where it is due, and where it is not', async (t) => {
  const tests = await readFile(`${root}deploy/prometheus/rules.test.yml`, 'utf8')
  for (const { alert } of alerts) {
    t.match(tests, new RegExp(`alertname: ${alert}\\n +exp_alerts:\\n`), `${alert} comes`)
    t.match(tests, new RegExp(`alertname: ${alert}, exp_alerts: \\[\\]|alertname: ${alert}\\n +exp_alerts: \\[\\]`), `${alert} does not come`)
  }
})

t.test('the dashboards are what the code makes', async (t) => {
  for (const dashboard of dashboards) {
    const { name, content } = fileOf(dashboard)
    t.equal(await readFile(`${root}deploy/grafana/dashboards/${name}`, 'utf8'), content, `npm run dashboards has made ${name}`)
  }
})
